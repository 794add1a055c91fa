"""Lossy codecs: neither delayed nor longer, a loss that falls with the bit rate, and what they do to high frequencies."""

import numpy as np
import pytest
from references import signal

from sertk.errors import SertkError
from sertk.frontend import perturb_codec
from sertk.frontend.perturb_codec import coded
from sertk.frontend.perturb_rate import change_rate

SPEECH = signal(1.0)
NAMED = pytest.mark.parametrize(
    ("name", "kbps"), [("gsm", None), ("mp3", 8), ("mp3", 16), ("mp3", 64), ("opus", 16), ("opus", 64)]
)


def likeness(samples, expected):
    return np.corrcoef(samples, expected)[0, 1]


@NAMED
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_decoded_speech_is_in_time(name, kbps, rate):
    """MP3 at a low bit rate comes out of its decoder 1105 samples late, and 1300 longer."""
    speech = change_rate(SPEECH, 16000, rate)
    found = coded(speech, rate, name, kbps)
    assert found.shape == speech.shape and found.dtype == np.float32
    best = max(range(-30, 31), key=lambda lag: likeness(np.roll(found, lag)[50:-50], speech[50:-50]))
    assert abs(best) <= max(1, rate / 16000) and likeness(found, speech) > 0.8


@NAMED
def test_encoding_again_gives_the_same_samples(name, kbps):
    np.testing.assert_array_equal(coded(SPEECH, 16000, name, kbps), coded(SPEECH, 16000, name, kbps))


@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_loss_falls_with_the_bit_rate(name):
    noise = [SPEECH - coded(SPEECH, 16000, name, kbps) for kbps in (8, 16, 32, 128)]
    powers = [float(np.mean(error**2)) for error in noise]
    assert powers == sorted(powers, reverse=True) and powers[0] > 2 * powers[-1]


def test_gsm_has_the_band_of_a_telephone_and_takes_any_level():
    spectrum = np.abs(np.fft.rfft(coded(SPEECH, 16000, "gsm"))) ** 2
    assert spectrum[len(spectrum) * 5 // 8 :].sum() < 1e-4 * spectrum.sum()
    assert np.abs(coded(100 * SPEECH, 16000, "gsm")).max() < 70000


@NAMED
@pytest.mark.parametrize("count", [1, 100, 700])
def test_short_recordings_keep_their_length(name, kbps, count):
    assert len(coded(SPEECH[:count], 16000, name, kbps)) == count


def test_a_libsndfile_without_the_codec_is_one_line(monkeypatch):
    monkeypatch.setitem(perturb_codec._CODECS, "mp3", (16000, "MP3", "AMR", (160, 8)))
    with pytest.raises(SertkError, match=r"cannot encode AMR \(.*libsndfile 1\.1 or later is needed"):
        coded(SPEECH, 16000, "mp3", 32)
