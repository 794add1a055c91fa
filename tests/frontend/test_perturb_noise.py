"""Additive noise: measured ratios, and spectra by scipy."""

import numpy as np
import pytest
import scipy.signal
from references import signal

from sertk.frontend.perturb_noise import PERIOD, add_noise, coloured_noise, power, speech_power
from sertk.frontend.unfit import UnfitAudio

SPEECH = signal(1.0)


@pytest.mark.parametrize("snr", [20, 10, 0, -5.5])
def test_the_measured_ratio_is_the_one_asked_for(snr):
    noise = np.random.default_rng(0).normal(0, 3, 16000).astype(np.float32)
    added = (add_noise(SPEECH, noise, snr, 16000) - SPEECH).astype(float)
    assert 10 * np.log10(np.mean(SPEECH.astype(float) ** 2) / np.mean(added**2)) == pytest.approx(snr, abs=0.01)


def test_pauses_do_not_count_as_speech():
    """Half a second of silence, or of breath 40 dB down, around the speech: the noise is as loud as without."""
    breath = SPEECH[:8000] / 100
    for pause in (np.zeros(8000, np.float32), breath):
        with_pauses = np.concatenate([pause, SPEECH, pause])
        assert speech_power(with_pauses, 16000) == pytest.approx(speech_power(SPEECH, 16000), rel=1e-6)
        assert power(with_pauses) < 0.6 * speech_power(with_pauses, 16000)


def test_noise_without_sound_is_an_error():
    with pytest.raises(UnfitAudio, match="silent"):
        add_noise(SPEECH, np.zeros(16000, np.float32), 10, 16000)


@pytest.mark.parametrize(("colour", "fall"), [("white", 0), ("pink", 3.01), ("brown", 6.02)])
def test_a_colour_falls_by_so_many_decibels_an_octave(colour, fall):
    noise = coloured_noise(400000, 16000, colour, 1)
    assert power(noise) == pytest.approx(1, abs=0.02)
    frequencies, density = scipy.signal.welch(noise, 16000, nperseg=4096)
    inside = (frequencies > 100) & (frequencies < 7000)
    slope = np.polyfit(np.log2(frequencies[inside]), 10 * np.log10(density[inside]), 1)[0]
    assert slope == pytest.approx(-fall, abs=0.1)


def test_another_seed_gives_another_noise():
    first, again, other = (coloured_noise(1000, 16000, "pink", seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.2


def test_noise_of_an_hour_repeats_without_a_seam():
    noise = coloured_noise(PERIOD + 10, 16000, "brown", 0)
    assert len(noise) == PERIOD + 10
    period = len(noise) - np.flatnonzero(noise[1:] == noise[0])[-1] - 1
    seam = np.abs(np.diff(noise[-period - 2 :])).max()
    assert seam < 6 * np.abs(np.diff(noise[:100000])).std() + np.abs(np.diff(noise[:100000])).max()
