"""One FeatureExtractor for arrays, files and make-fbank: the same recording has the same features, bit for bit."""

import numpy as np
import pytest
import soundfile
from references import signal

from sertk.frontend.extractor import FeatureExtractor, in_16_bits
from sertk.frontend.options import FbankOptions
from sertk.frontend.unfit import UnfitAudio
from sertk.kaldi.tables import read_table

OPTIONS = FbankOptions(num_mel_bins=16)
SAMPLES = signal(0.5).astype(np.int16)


@pytest.fixture
def extract():
    return FeatureExtractor(OPTIONS, cmvn=True)


@pytest.mark.parametrize("rate", [16000, 16001])
def test_an_array_a_file_and_make_fbank_have_the_same_bits(extract, here, call, rate):
    soundfile.write("a.wav", SAMPLES, rate)
    (here / "wav.scp").write_text("a a.wav\n")
    options = ("--num-mel-bins=16", "--cmvn=true", "--allow-resample=true", "--compress=none")
    call("make-fbank", *options, "scp:wav.scp", "ark:f.ark")
    ((_, expected),) = read_table("ark:f.ark")
    floats = [soundfile.read("a.wav", dtype=kind)[0] for kind in ("float32", "float64", "int16", "int32")]
    for feats in (extract.of_file(here / "a.wav"), *(extract(samples, rate) for samples in floats)):
        np.testing.assert_array_equal(feats, expected)


def test_channels_of_an_array_are_averaged_as_a_files_are(extract, here):
    both = np.stack([SAMPLES, SAMPLES // 3], axis=1)
    soundfile.write("st.wav", both, 16000)
    np.testing.assert_array_equal(extract(both, 16000), extract.of_file("st.wav"))


def test_the_range_of_samples_is_known_by_their_type():
    for samples, expected in [
        (np.array([-32768, 0, 16384], np.int16), [-32768, 0, 16384]),
        (np.array([-1, 0, 0.5]), [-32768, 0, 16384]),
        (np.array([-1, 0, 0.5], np.float16), [-32768, 0, 16384]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-32768, 0, 16384]),
        (np.array([0, 128, 192], np.uint8), [-32768, 0, 16384]),
        (np.array([1.5, -1.2]), [49152, -39321.6]),  # what a decoder overshoots
    ]:
        np.testing.assert_allclose(in_16_bits(samples), np.array(expected, np.float32), rtol=1e-6)
        assert in_16_bits(samples).dtype == np.float32


@pytest.mark.parametrize(
    "samples, says",
    [
        (SAMPLES.astype(np.float32), r"floats up to \d+: must be in ±1 \(pass 16-bit samples as int16\)"),
        (SAMPLES.astype(np.int64), "samples of type int64"),
        (SAMPLES.astype(bool), "samples of type bool"),
        (np.zeros((2, 8000), np.int16), r"shape \(2, 8000\)"),
        (np.zeros((10, 2, 2), np.int16), r"shape \(10, 2, 2\)"),
    ],
)
def test_samples_whose_range_or_shape_is_not_clear_are_an_error(extract, samples, says):
    with pytest.raises(ValueError, match=says):
        extract(samples, 16000)


@pytest.mark.parametrize(
    "samples, rate, says",
    [
        (np.full(8000, np.nan), 16000, "NaN"),
        (np.r_[0.1, np.inf, np.zeros(8000)], 16000, "infinite"),
        (np.zeros(8000), 16000, "no sound"),
        (SAMPLES[:100], 16000, "too few"),
        (SAMPLES[:0], 16000, "too few"),
        (SAMPLES, 0, "0 samples a second"),
        (SAMPLES, 1, "1 samples a second"),
    ],
)
def test_samples_that_are_of_no_use_are_unfit(extract, samples, rate, says):
    with pytest.raises(UnfitAudio, match=says):
        extract(samples, rate)


def test_whatever_the_features_raise_is_the_recordings_alone(extract, monkeypatch):
    monkeypatch.setattr(extract, "fbank", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(UnfitAudio, match="more memory than there is"):
        extract(SAMPLES, 16000)
