"""Features against Kaldi's, by every implementation at hand, and at the edges."""

import json
from pathlib import Path

import numpy as np
import pytest
from references import audible, double_fbank, native_fbank, signal, torchaudio_fbank

from sertk.errors import SertkError
from sertk.frontend import fbank
from sertk.frontend.audio import read_audio
from sertk.frontend.fbank import BLOCK, FLOOR, Fbank, mel_filters
from sertk.frontend.options import FbankOptions

LOG_FLOOR = np.log(FLOOR)
GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
RANGES = [(80, 20, 8000), (80, 100, 7600), (128, 40, 8000), (128, 200, -400)]
REFERENCES = [native_fbank, torchaudio_fbank]


@pytest.fixture(scope="module")
def speech(emodb):
    paths = sorted((emodb / "wav").glob("*.wav"))[::60]
    return [read_audio(path)[0] for path in paths]


def assert_agree(ours, theirs):
    heard = audible(theirs)
    difference = np.abs(ours - theirs)[heard]
    assert heard.mean() > 0.97
    assert difference.max() <= 1e-3
    assert np.quantile(difference, 0.999) <= 2e-4


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["options"]))
def test_stored_features_of_kaldi_come_out(case):
    feats = Fbank(FbankOptions(**case["options"]))(signal()[: GOLDEN["samples"]])
    np.testing.assert_allclose(feats, case["feats"], atol=5e-4, rtol=0)


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("bins, low, high", RANGES)
@pytest.mark.parametrize("reference", REFERENCES)
def test_speech_has_the_features_of_the_references(speech, reference, bins, low, high, snip_edges):
    options = FbankOptions(num_mel_bins=bins, low_freq=low, high_freq=high, snip_edges=snip_edges)
    fbank = Fbank(options)
    assert_agree(*(np.concatenate(list(made)) for made in zip(*((fbank(x), reference(x, options)) for x in speech))))


@pytest.mark.parametrize("window", ["hamming", "hanning", "blackman", "rectangular", "sine"])
@pytest.mark.parametrize("reference", REFERENCES)
def test_every_window_is_kaldis(speech, reference, window):
    if reference is torchaudio_fbank and window == "sine":
        return  # it has none
    options = FbankOptions(window_type=window)
    assert_agree(Fbank(options)(speech[0]), reference(speech[0], options))


@pytest.mark.parametrize(
    "changed",
    [
        {"use_energy": True},
        {"use_energy": True, "raw_energy": False},
        {"use_energy": True, "htk_compat": True},
        {"use_energy": True, "energy_floor": 1e9},
        {"remove_dc_offset": False},
        {"preemphasis_coefficient": 0.0},
        {"preemphasis_coefficient": 1.0},
        {"sample_frequency": 11025.0, "high_freq": 0.0, "num_mel_bins": 40},
        {"sample_frequency": 22050.0, "high_freq": 0.0, "num_mel_bins": 40},
        {"round_to_power_of_two": False, "num_mel_bins": 40},
        {"frame_length": 32.0, "window_type": "hamming"},
        {"frame_length": 16.0, "frame_shift": 16.0, "num_mel_bins": 40, "window_type": "rectangular"},
        {"frame_shift": 30.0, "num_mel_bins": 60, "low_freq": 80.0},
        {"frame_shift": 30.0, "num_mel_bins": 60, "low_freq": 80.0, "snip_edges": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("reference", REFERENCES)
def test_every_other_option_is_kaldis(reference, changed):
    options = FbankOptions(**changed)
    np.testing.assert_allclose(Fbank(options)(signal(0.5)), reference(signal(0.5), options), atol=1e-3, rtol=0)


def test_rounding_errors_are_as_small_as_the_references(speech):
    options = FbankOptions()
    exact = np.concatenate([double_fbank(x, options) for x in speech])
    errors = []
    for compute in (lambda x, _: Fbank(options)(x), *REFERENCES):
        made = np.concatenate([compute(x, options) for x in speech])
        errors.append(np.quantile(np.abs(made - exact), 0.999))
    assert errors[0] <= 1.25 * min(errors[1:])


@pytest.mark.parametrize("count", [0, 1, 79, 80, 100, 399, 400, 401, 559, 560, 1000])
@pytest.mark.parametrize("snip_edges", [True, False])
def test_any_number_of_samples_gives_kaldis_frames(count, snip_edges):
    options = FbankOptions(snip_edges=snip_edges)
    samples = signal()[:count]
    feats = Fbank(options)(samples)
    assert feats.shape == (options.num_frames(count), 128) and feats.dtype == np.float32
    if count:
        np.testing.assert_allclose(feats, native_fbank(samples, options), atol=5e-4, rtol=0)


@pytest.mark.parametrize("level", [0, 1, -32768, 1000, 12345])
def test_silence_and_a_constant_are_the_floor(level):
    assert (Fbank()(np.full(4000, level, np.float32)) == LOG_FLOOR).all()


def test_silence_in_a_recording_with_an_offset_is_the_floor():
    samples = np.concatenate([signal(0.25), np.full(4000, 12345, np.float32)])
    feats = Fbank()(samples)
    assert (feats[-20:] == LOG_FLOOR).all()
    np.testing.assert_allclose(feats, native_fbank(samples, FbankOptions()), atol=5e-4, rtol=0)


def test_an_impulse_has_the_features_worked_out_by_hand():
    samples = np.zeros(400, np.float32)
    samples[200] = 10000
    options = FbankOptions(preemphasis_coefficient=0.0, remove_dc_offset=False, window_type="rectangular")
    # Its spectrum is flat: every FFT bin has the power 10000².
    worked = np.log(1e8 * mel_filters(options).astype(np.float64).sum(axis=0))
    np.testing.assert_allclose(Fbank(options)(samples)[0], worked, atol=1e-5, rtol=0)


def test_blocks_leave_no_seam():
    samples = signal(3 * BLOCK * 0.01 + 1)
    whole = Fbank()(samples)
    assert len(whole) > 3 * BLOCK
    for frame in (BLOCK - 1, BLOCK, 2 * BLOCK, len(whole) - 1):
        alone = Fbank()(samples[frame * 160 : frame * 160 + 400])[0]
        np.testing.assert_allclose(whole[frame], alone, atol=2e-5, rtol=0)


def test_a_front_end_remembers_nothing_of_the_recording_before():
    fbank = Fbank()
    first = fbank(signal(0.5))
    fbank(signal(2) * 5)
    assert (fbank(signal(0.5)) == first).all()


def test_whole_numbers_of_any_type_are_the_same_samples():
    assert (Fbank()(signal(0.2).astype(np.int16)) == Fbank()(signal(0.2))).all()


def test_the_input_is_left_as_it_was():
    samples = signal(0.2)
    Fbank()(samples)
    assert (samples == signal(0.2)).all()


def test_dither_has_its_deviation_and_follows_its_generator():
    fbank = Fbank(FbankOptions(dither=1.0))
    silence = np.zeros(16000, np.float32)
    once, again, other = (fbank(silence, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (once == again).all() and (once != other).any()
    # White noise of deviation 1, pre-emphasised and windowed, as the expectation has it.
    options = FbankOptions(dither=1.0)
    gain = np.abs(1 - 0.97 * np.exp(-2j * np.pi * np.arange(256) / 512)) ** 2 @ mel_filters(options)
    from sertk.frontend.fbank import window

    expected = np.log(gain * (window(options).astype(np.float64) ** 2).sum())
    assert abs((np.log(np.exp(once.astype(np.float64)).mean(axis=0)) - expected).mean()) < 0.1


@pytest.mark.parametrize("low", [0, 20])
def test_an_empty_mel_filter_is_refused_with_its_frequency(low):
    with pytest.raises(SertkError, match=r"mel filter \d+ of 128 .* centre \d+\.\d Hz"):
        Fbank(FbankOptions(low_freq=low))


def test_the_empty_filter_that_is_named_is_the_one():
    with pytest.raises(SertkError, match="mel filter 0 of 128"):
        Fbank(FbankOptions(low_freq=0))


def test_fft_has_the_bits_of_scipys_without_its_import(monkeypatch):
    """The compiled transform alone gives the bits of scipy.fft.rfft, which takes its place where it is not found."""
    import scipy.fft

    frames = np.random.default_rng(0).normal(size=(7, 512)).astype(np.float32)
    direct = fbank.load_rfft()
    assert direct is not scipy.fft.rfft
    np.testing.assert_array_equal(direct(frames), scipy.fft.rfft(frames))
    monkeypatch.setattr(fbank, "find_spec", lambda name: None)
    assert fbank.load_rfft() is scipy.fft.rfft
