"""The channel: G.711 as sox and libsndfile have it, the band by scipy, level and clipping."""

import io
import subprocess

import numpy as np
import pytest
import scipy.signal
import soundfile
from references import signal
from support import needs_sox

from sertk.frontend.perturb_channel import band_pass, clip, companded, g711, gain
from sertk.frontend.unfit import UnfitAudio

ALL = np.arange(-32768, 32768)
SPEECH = signal(1.0)
LAWS = pytest.mark.parametrize(("law", "subtype", "sox"), [("mulaw", "ULAW", "mu-law"), ("alaw", "ALAW", "a-law")])


@LAWS
def test_the_codebook_is_that_of_g711(law, subtype, sox):
    values = np.unique(companded(law))
    largest, smallest = {"mulaw": (32124, 0), "alaw": (32256, 8)}[law]
    assert len(values) == {"mulaw": 255, "alaw": 256}[law]  # the mu-law has two zeros
    assert (values[-1], values[values >= 0][0]) == (largest, smallest)
    np.testing.assert_array_equal(values, -values[::-1])
    # What comes out of the decoder is coded to itself.
    np.testing.assert_array_equal(companded(law)[values.astype(int) + 32768], values)


@LAWS
def test_libsndfile_codes_every_sample_to_the_same(law, subtype, sox):
    """But for the A-law's 127 negative samples on the border of two steps, which it rounds as positive ones."""
    file = io.BytesIO()
    soundfile.write(file, ALL.astype(np.int16), 8000, format="WAV", subtype=subtype)
    file.seek(0)
    expected = soundfile.read(file, dtype="int16")[0].astype(int)
    found = companded(law).astype(int)
    assert set(np.unique(expected)) == set(np.unique(found))
    steps = np.searchsorted(np.unique(found), found) - np.searchsorted(np.unique(found), expected)
    assert np.abs(steps).max() <= 1 and np.count_nonzero(steps) == {"mulaw": 0, "alaw": 127}[law]


@needs_sox
@LAWS
def test_sox_codes_samples_to_the_same_or_the_next_step(tmp_path, law, subtype, sox):
    """sox rounds to 14 or 13 bits first: one in 60 samples is nearer to a border than that."""
    soundfile.write(tmp_path / "in.wav", ALL.astype(np.int16), 8000)
    line = ["sox", "-D", "in.wav", "-e", sox, "-b", "8", "coded.wav"]
    subprocess.run(line, cwd=tmp_path, check=True)
    expected = soundfile.read(tmp_path / "coded.wav", dtype="int16")[0].astype(int)
    found = companded(law).astype(int)
    steps = np.searchsorted(np.unique(found), found) - np.searchsorted(np.unique(found), expected)
    assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.02


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_at_16_khz_loses_what_is_above_4_khz_and_38_db(law):
    time = np.arange(16000) / 16000
    low, high = (3000 * np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (900, 6000))
    found = g711(low + high, 16000, law)
    assert len(found) == 16000
    ratio = 10 * np.log10(np.mean(low[500:-500] ** 2) / np.mean((found - low)[500:-500] ** 2))
    assert 34 < ratio < 42


def test_the_band_is_scipys_design_and_has_no_delay():
    impulse = np.zeros(4001, np.float32)
    impulse[2000] = 1
    found = band_pass(impulse, 8000, 300, 3400)
    taps = scipy.signal.firwin(257, [300, 3400], fs=8000, window="hamming", pass_zero=False, scale=False)
    np.testing.assert_allclose(found[2000 - 128 : 2000 + 129], taps, atol=1e-6)
    _, response = scipy.signal.freqz(taps, worN=[100, 300, 500, 1000, 3200, 3400, 3600], fs=8000)
    levels = 20 * np.log10(np.abs(response))
    assert levels[0] < -50 and levels[-1] < -50 and np.abs(levels[2:5]).max() < 0.05
    np.testing.assert_allclose(levels[[1, 5]], -6, atol=0.1)


def test_a_band_above_the_recordings_frequencies_is_an_error():
    with pytest.raises(UnfitAudio, match="nothing is left from 5000 Hz on"):
        band_pass(SPEECH, 8000, 5000, 6000)


def test_minus_20_db_is_a_tenth():
    np.testing.assert_allclose(gain(SPEECH, -20), SPEECH / 10, rtol=1e-6)


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_so_many_percent_of_the_samples_are_clipped(percent):
    found = clip(SPEECH, percent)
    largest = np.abs(found).max()
    assert 100 * np.mean(np.abs(found) == largest) == pytest.approx(percent, abs=0.2)
    inside = np.abs(SPEECH) < largest
    np.testing.assert_array_equal(found[inside], SPEECH[inside])
    assert (np.sign(found) == np.sign(SPEECH)).all()
