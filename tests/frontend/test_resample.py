"""What torchaudio does for us, and what is said where it cannot."""

import builtins

import numpy as np
import pytest
from references import audible, signal

from sertk.errors import SertkError
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import TorchaudioFbank, resample
from sertk.frontend.unfit import UnfitAudio


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_a_tone_stays_the_tone_at_another_rate(rate):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) * 8000
    made = resample(tone, rate, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000) * 8000
    assert made.shape == (16000,) and made.dtype == np.float32
    assert np.abs(made - expected)[200:-200].max() < 80


def test_the_same_rate_is_the_same_array():
    assert resample(signal(), 16000, 16000) is not None and (resample(signal(), 16000, 16000) == signal()).all()


@pytest.mark.parametrize(
    "changed", [{}, {"snip_edges": False}, {"num_mel_bins": 80, "window_type": "hamming"}], ids=str
)
def test_the_torchaudio_backend_agrees_with_ours(changed):
    options = FbankOptions(**changed)
    theirs = TorchaudioFbank(options)(signal())
    assert np.abs(Fbank(options)(signal()) - theirs)[audible(theirs)].max() <= 1e-3


def test_the_torchaudio_backend_has_our_edges():
    assert TorchaudioFbank(FbankOptions())(signal()[:399]).shape == (0, 128)
    assert TorchaudioFbank(FbankOptions(use_energy=True))(signal()[:399]).shape == (0, 129)
    with pytest.raises(UnfitAudio, match="shorter than a frame"):
        TorchaudioFbank(FbankOptions(snip_edges=False))(signal()[:300])
    with pytest.raises(SertkError, match="mel filter"):
        TorchaudioFbank(FbankOptions(low_freq=0))
    with pytest.raises(SertkError, match="sine"):
        TorchaudioFbank(FbankOptions(window_type="sine"))


@pytest.mark.parametrize("kind", [ImportError, OSError, RuntimeError, AttributeError])
def test_a_pair_that_does_not_fit_is_one_line_that_says_what_to_install(monkeypatch, kind):
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name.startswith("torchaudio"):
            raise kind("libtorchaudio.so: undefined symbol: _ZN3c10\nand more\nlines")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(
        SertkError, match=r"undefined symbol.*pip install torch==2\.11\.0 torchaudio==2\.11\.0"
    ) as error:
        resample(signal(), 16000, 8000)
    assert "\n" not in str(error.value)
