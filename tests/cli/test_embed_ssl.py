"""embed-ssl as a user runs it."""

import sys

import numpy as np
import pytest
from encoders import write_encoder

from sertk.kaldi.tables import read_manifest, read_table


@pytest.fixture
def encoder(folder):
    return write_encoder(folder / "hubert-tiny", "hubert")


def test_matrices_of_layers_or_vectors_of_one(encoder, call):
    words = ("--licence", "MIT", "--precision", "float32", "--num-threads", 1, encoder)
    result = call("embed-ssl", *words, "scp:wav.scp", "ark,scp:l.ark,l.scp")
    assert result.err.strip() == "embed-ssl: Done 10, skipped 0"
    layers = dict(read_table("scp:l.scp"))
    assert list(layers) == [f"u{i}" for i in range(10)] and layers["u3"].shape == (3, 32)
    settings = read_manifest("l.scp").settings
    assert settings["layers"] == [0, 1, 2] and settings["trained_on"]["licence"] == "MIT"
    call("embed-ssl", "--layers", "2", "--batch-seconds", 9, *words, "scp:wav.scp", "ark:v.ark")
    for key, vector in read_table("ark:v.ark", kind="vector"):
        np.testing.assert_allclose(vector, layers[key][2], atol=1e-4)


def test_segments_are_cut(folder, encoder, call):
    (folder / "segments").write_text("a u9 0 0.5\nb u9 0.5 9\nc u9 0 0.01\n")
    words = ("--segments", "segments", "--licence", "MIT", encoder, "scp:wav.scp", "ark:l.ark")
    result = call("embed-ssl", "--max-skip", 0.7, *words)
    assert list(dict(read_table("ark:l.ark"))) == ["a"]
    assert "skipped b: ends 7.6 s after u9 (--max-overshoot=0.5)" in result.err
    assert "skipped c: has 160 samples, too few for a frame" in result.err
    assert "2 of 3 skipped, more than --max-skip=0.5 allows" in call("embed-ssl", "--max-skip", 0.5, *words, code=1).err


def test_wrong_calls_are_one_line(folder, encoder, call, monkeypatch):
    def error(*words, code=1):
        return call("embed-ssl", "--licence", "MIT", *words, "scp:wav.scp", "ark:l.ark", code=code).err.splitlines()[-1]

    assert "'1,x': expected layer numbers from 0" in error("--layers", "1,x", encoder, code=2)
    assert "'1,1': expected layer numbers from 0" in error("--layers", "1,1", encoder, code=2)
    assert "hubert-tiny: has no layer 3: 0 (the input of the first) to 2" in error("--layers", 3, encoder)
    assert "nosuch: no such folder (download it first" in error("nosuch")
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert error(encoder).endswith("transformers is not installed: pip install transformers (or sertk[ssl])")
    assert not (folder / "l.ark").exists()


def test_perturbed_utterances_have_other_layers(folder, encoder, call):
    (folder / "list").write_text("u3 noise=white seed=1 snr=0\n")
    words = ("--layers", 2, "--licence", "MIT", "--num-threads", 1, encoder, "scp:wav.scp")
    call("embed-ssl", *words, "ark:clean.ark")
    call("embed-ssl", "--utt2perturb", "list", *words, "ark:noisy.ark")
    clean, noisy = (dict(read_table(f"ark:{name}.ark", kind="vector")) for name in ("clean", "noisy"))
    assert [key for key in clean if not np.array_equal(clean[key], noisy[key])] == ["u3"]
