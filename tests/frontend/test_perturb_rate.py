"""Speed and rate: exact tones, scipy's and sox's conversions."""

import subprocess
from fractions import Fraction

import numpy as np
import pytest
import scipy.signal
import soundfile
from support import needs_sox

from sertk.frontend.perturb_rate import change_rate, change_speed


def tone(hertz, count, rate=16000.0):
    return (1000 * np.sin(2 * np.pi * hertz * np.arange(count) / rate)).astype(np.float32)


@pytest.mark.parametrize("factor", ["0.9", "1.1", "0.5", "2", "0.937"])
def test_speed_changes_pitch_and_duration_of_a_tone(factor):
    factor = Fraction(factor)
    found = change_speed(tone(440, 16000), factor)
    assert found.dtype == np.float32 and len(found) == -(-16000 // factor)
    inner = slice(200, len(found) - 200)
    np.testing.assert_allclose(found[inner], tone(440 * float(factor), len(found))[inner], atol=0.2)


@pytest.mark.parametrize(("old", "new"), [(16000, 8000), (8000, 16000), (44100, 16000), (48000, 16000), (22050, 16000)])
def test_a_rate_is_converted_without_delay(old, new):
    found = change_rate(tone(700, old, old), old, new)
    assert len(found) == new
    np.testing.assert_allclose(found[200:-200], tone(700, new, new)[200:-200], atol=0.2)


def test_what_the_new_rate_cannot_hold_is_gone():
    for hertz, decibels in ((3600, -0.01), (4100, -75)):
        found = change_rate(tone(hertz, 32000), 16000, 8000)[1000:-1000]
        level = 10 * np.log10(np.mean(found.astype(float) ** 2) / 500000)
        assert level > decibels if hertz < 4000 else level < decibels


def test_a_rate_without_a_common_divisor_is_converted_too():
    found = change_rate(tone(300, 22254, 22254), 22254, 16001)
    np.testing.assert_allclose(found[200:-200], tone(300, 16001, 16001)[200:-200], atol=3)


def test_scipy_finds_the_same():
    """resample_poly with a filter of the same cutoff, on noise below 6 kHz."""
    noise = np.random.default_rng(0).normal(0, 1000, 8000)
    noise = scipy.signal.sosfiltfilt(scipy.signal.butter(8, 6000, fs=16000, output="sos"), noise).astype(np.float32)
    taps = scipy.signal.firwin(2 * 64 * 10 + 1, 0.96 / 10, window=("kaiser", 8.0))
    expected = scipy.signal.resample_poly(noise.astype(float), 10, 9, window=taps)
    found = change_speed(noise, Fraction("0.9"))
    assert len(found) == len(expected)
    assert np.abs(found - expected)[200:-200].max() < 2e-3 * np.abs(expected).max()


@needs_sox
@pytest.mark.parametrize("factor", ["0.9", "1.1"])
def test_sox_finds_the_same(tmp_path, factor):
    noise = np.random.default_rng(0).normal(0, 1000, 16000)
    noise = scipy.signal.sosfiltfilt(scipy.signal.butter(8, 6000, fs=16000, output="sos"), noise).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", noise / 32768, 16000, subtype="FLOAT")
    subprocess.run(["sox", "in.wav", "out.wav", "speed", factor], cwd=tmp_path, check=True)
    expected = soundfile.read(tmp_path / "out.wav")[0] * 32768
    found = change_speed(noise, Fraction(factor))
    assert abs(len(found) - len(expected)) <= 1
    count = min(len(found), len(expected))
    difference = (found[:count] - expected[:count])[300:-300]
    assert np.sqrt(np.mean(difference**2)) < 0.01 * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize("count", [1, 7, 899, 70001])
def test_any_length_and_a_long_one_piece_by_piece(count):
    samples = np.random.default_rng(1).normal(0, 1000, count).astype(np.float32)
    found = change_speed(samples, Fraction("0.9"))
    assert len(found) == -(-count * 10 // 9)
    longer = change_speed(np.concatenate([samples, np.zeros(200000, np.float32)]), Fraction("0.9"))
    np.testing.assert_allclose(longer[: len(found)], found, atol=0.05)
