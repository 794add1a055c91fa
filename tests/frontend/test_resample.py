"""What torchaudio does for us, and what is said where it cannot."""

import builtins
import resource
import time
from math import gcd

import numpy as np
import pytest
import torch
import torchaudio
from references import audible, signal

from sertk.errors import SertkError
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import TorchaudioFbank, interpolate, resample
from sertk.frontend.unfit import UnfitAudio


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_a_tone_stays_the_tone_at_another_rate(rate):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) * 8000
    made = resample(tone, rate, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000) * 8000
    assert made.shape == (16000,) and made.dtype == np.float32
    assert np.abs(made - expected)[200:-200].max() < 80


AWKWARD = [22254, 16001, 15999, 44099, 11127, 47999, 192001, 767999, 1009, 8001]


@pytest.mark.parametrize("rate", AWKWARD)
def test_a_tone_stays_the_tone_between_awkward_rates(rate):
    """The amplitude of a tone below half of both rates, and what is left of one above the new half (aliasing)."""
    frequency = 0.2 * min(rate, 16000)
    count = min(rate // 2, 48000)
    tone = np.sin(2 * np.pi * frequency * np.arange(count) / rate).astype(np.float32) * 8000
    made = resample(tone, rate, 16000)
    expected = np.sin(2 * np.pi * frequency * np.arange(len(made)) / 16000) * 8000
    assert len(made) == -(-count * 16000 // rate) and made.dtype == np.float32
    inner = slice(len(made) // 8, -len(made) // 8)
    assert np.abs(made - expected)[inner].max() < 40  # 0.5 %, -46 dB
    if rate > 24000:
        above = np.sin(2 * np.pi * 11000 * np.arange(count) / rate).astype(np.float32) * 8000
        assert np.abs(resample(above, rate, 16000))[inner].max() < 40  # -46 dB


@pytest.mark.parametrize("old, new", [(441, 160), (441, 320), (2, 1), (1, 2), (3, 1), (441, 640), (147, 160), (7, 5)])
def test_the_formula_for_any_ratio_is_torchaudios(old, new):
    theirs = torchaudio.transforms.Resample(old, new)(torch.from_numpy(signal(0.5))).numpy()
    ours = interpolate(signal(0.5), old, new)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 2e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_a_usual_ratio_keeps_torchaudios_bits(rate):
    divisor = gcd(rate, 16000)
    theirs = torchaudio.transforms.Resample(rate // divisor, 16000 // divisor)(torch.from_numpy(signal(0.2))).numpy()
    np.testing.assert_array_equal(resample(signal(0.2), rate, 16000), theirs)


@pytest.mark.parametrize("rate", AWKWARD)
def test_any_pair_of_rates_costs_what_its_samples_cost(rate):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    made = resample(np.ones(rate // 4, np.float32), rate, 16000)
    assert len(made) == -(-(rate // 4) * 16000 // rate) and time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_an_awkward_ratio_does_without_torch(monkeypatch):
    monkeypatch.setattr("sertk.frontend.resample._torchaudio", None)
    assert len(resample(signal(0.1), 16001, 16000)) == 1600


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
    with pytest.raises(UnfitAudio, match="fewer than a frame"):
        TorchaudioFbank(FbankOptions(snip_edges=False))(signal()[:300])
    with pytest.raises(SertkError, match="mel filter"):
        TorchaudioFbank(FbankOptions(low_freq=0))
    with pytest.raises(SertkError, match="sine"):
        TorchaudioFbank(FbankOptions(window_type="sine"))


@pytest.mark.parametrize("kind", [ImportError, OSError, RuntimeError, AttributeError])
def test_versions_that_do_not_match_say_what_to_install(monkeypatch, kind):
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


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 16000), (8000, 16000), (22254, 16000), (16001, 16000)])
def test_long_recordings_are_resampled_in_pieces(monkeypatch, rate, wanted):
    samples = (1000 * np.random.default_rng(0).standard_normal(200_001)).astype(np.float32)
    whole = resample(samples, rate, wanted)
    monkeypatch.setattr("sertk.frontend.resample.LONGEST", 50_000)
    pieces = resample(samples, rate, wanted)
    assert pieces.shape == whole.shape
    np.testing.assert_allclose(pieces, whole, rtol=0, atol=2e-3)
    assert np.array_equal(resample(samples.copy(), rate, wanted, reuse=True), pieces)
