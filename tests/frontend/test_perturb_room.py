"""Reverberation: scipy's convolution, and the decay of the synthetic room."""

import numpy as np
import pytest
import scipy.signal
from references import signal

from sertk.frontend.perturb_room import convolve, reverberate, synthetic_response
from sertk.frontend.unfit import UnfitAudio

SPEECH = signal(1.0)


@pytest.mark.parametrize(("count", "taps"), [(16000, 1), (16000, 8000), (100, 5000), (300000, 12345)])
def test_scipy_convolves_to_the_same(count, taps):
    rng = np.random.default_rng(0)
    samples, response = (rng.normal(size=size).astype(np.float32) for size in (count, taps))
    expected = scipy.signal.fftconvolve(samples.astype(float), response.astype(float))
    np.testing.assert_allclose(convolve(samples, response), expected, atol=2e-6 * np.abs(expected).max() * 10)


def test_the_direct_sound_comes_when_it_came_and_energy_stays():
    response = np.zeros(500, np.float32)
    response[[120, 300]] = -0.02, 0.01
    found = reverberate(SPEECH, response)
    expected = np.concatenate([np.zeros(180), 0.5 * SPEECH[:-180]]) - SPEECH
    expected *= np.sqrt(np.sum(SPEECH.astype(float) ** 2) / np.sum(expected**2))
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert len(found) == len(SPEECH)


def test_an_impulse_changes_nothing():
    np.testing.assert_allclose(reverberate(SPEECH, np.array([0, 0.3, 0], np.float32)), SPEECH, atol=0.01)


def test_a_silent_response_is_an_error():
    with pytest.raises(UnfitAudio, match="silent"):
        reverberate(SPEECH, np.zeros(100, np.float32))


@pytest.mark.parametrize(("rt60", "drr"), [(0.2, 0), (0.5, 6), (1.0, -3)])
def test_the_tail_decays_as_it_says(rt60, drr):
    """Schroeder's backward integral, fitted from 5 to 25 dB down; the tail's energy below the direct sound's."""
    response = synthetic_response(16000, rt60, drr, seed=3).astype(float)
    assert response[0] == 1 and not response[1:40].any()
    tail = response[40:]
    assert 10 * np.log10(1 / np.sum(tail**2)) == pytest.approx(drr, abs=0.01)
    decay = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    inside = (decay < -5) & (decay > -25)
    slope = np.polyfit(np.flatnonzero(inside) / 16000, decay[inside], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.08)
