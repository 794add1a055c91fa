"""Statistics of recordings: batches, pieces of long ones, and what is skipped."""

import numpy as np
import pytest
from encoders import write_encoder
from references import signal

from sertk.errors import SertkError
from sertk.frontend.speech import Speech
from sertk.jobs.encode import Encoding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder") / "wavlm", "wavlm")


def jobs(*recordings, rate=16000):
    """A job for each array of samples."""
    for number, samples in enumerate(recordings):
        yield lambda number=number, samples=samples: [Speech(f"u{number}", "there", samples.copy(), rate)]


def never(key, reason):
    raise AssertionError(f"{key}: {reason}")


def statistics(folder, *recordings, skip=never, rate=16000, **options):
    encoding = Encoding(folder, precision="float32", num_threads=1, device="cpu", **options)
    return dict(encoding.run(jobs(*recordings, rate=rate), skip))


def test_batches_give_the_same_in_the_order_of_the_table(folder):
    recordings = [signal(1.0)[:count] for count in (9000, 4000, 16000, 5000, 12000)]
    alone = statistics(folder, *recordings)
    batched = statistics(folder, *recordings, batch=2.0)
    assert list(alone) == list(batched) == ["u0", "u1", "u2", "u3", "u4"]
    for key in alone:
        assert alone[key].shape == (3, 32)
        np.testing.assert_allclose(batched[key], alone[key], atol=1e-4)


def test_long_recordings_are_pooled_over_equal_pieces(folder):
    """2.5 s with a window of 1 s: three pieces of the samples scaled as a whole."""
    samples = np.resize(signal(1.0), 40001)
    encoding = Encoding(folder, window=1.0, precision="float32", num_threads=1, device="cpu")
    [(_, found)] = encoding.run(jobs(samples), never)
    scaled = encoding.encoder.scaled(samples)
    parts = [scaled[:13334], scaled[13334:26668], scaled[26668:]]
    first, second, third = (encoding.encoder.moments([part], encoding.layers)[0] for part in parts)
    np.testing.assert_allclose(found, (first + second + third).statistics(), rtol=1e-6)
    whole = statistics(folder, samples)["u0"]
    assert 0 < np.abs(whole - found).max() < 0.5


def test_other_rates_are_converted(folder):
    samples = signal(1.0)
    found = statistics(folder, np.repeat(samples, 3), rate=48000)["u0"]
    np.testing.assert_allclose(found, statistics(folder, samples)["u0"], atol=0.2)


def test_recordings_that_cannot_be_used_are_skipped(folder):
    reasons = {}
    sound = signal(1.0)
    recordings = [np.zeros(9000, np.float32), sound[:100], sound, np.full(9000, np.nan, np.float32)]
    found = statistics(folder, *recordings, skip=reasons.__setitem__)
    assert list(found) == ["u2"]
    assert reasons["u0"] == "has no sound: all of its 9000 samples are 0"
    assert reasons["u1"] == "has 100 samples, too few for a frame"
    assert reasons["u3"].startswith("has NaN or infinite samples")


def test_layers_are_chosen_and_checked(folder):
    found = statistics(folder, signal(1.0), layers=(2, 0))["u0"]
    np.testing.assert_array_equal(found, statistics(folder, signal(1.0))["u0"][[2, 0]])
    with pytest.raises(SertkError, match=r"wavlm: has no layer 3: 0 .* to 2$"):
        Encoding(folder, layers=(0, 3))


def test_settings_name_the_encoder(folder):
    encoding = Encoding(folder, layers=(1,), precision="float32", device="cpu")
    settings = encoding.settings("MIT", "LibriSpeech, 960 h")
    assert settings["layers"] == [1] and settings["model"] == encoding.encoder.digest
    record = settings["trained_on"]
    assert record["source"] == "wavlm: wavlm" and record["licence"] == "MIT"
    assert record["declared"] == "LibriSpeech, 960 h" and len(record["sha256"]) == 64


def test_whispers_window_is_its_own(tmp_path):
    folder = write_encoder(tmp_path / "whisper", "whisper")
    encoding = Encoding(folder, precision="float32", num_threads=1, device="cpu")
    assert encoding.window == 1.0  # 30 of a real one
    [(_, found)] = encoding.run(jobs(np.resize(signal(1.0), 20000)), never)
    assert found.shape == (3, 32)
