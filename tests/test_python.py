"""The Python entrance: public names, and that they compute what the binaries compute."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from references import signal
from scipy.io import wavfile
from support import ROOT

import sertk
from sertk.models.modelfile import Model, save_model
from sertk.training.loop import seeded

FRONTEND = {"fbank": sertk.FbankOptions(num_mel_bins=16).settings(), "cmvn": "segment"}


@pytest.fixture
def model(tmp_path):
    spec = sertk.NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)
    save_model(
        tmp_path / "final.pt", Model(seeded(lambda: sertk.ResNet(spec), 0).eval(), ["ang", "neu", "sad"], FRONTEND)
    )
    return sertk.load_model(tmp_path / "final.pt")


@pytest.fixture
def samples(tmp_path):
    """Samples as int16, which are those of voice.wav too."""
    samples = signal()[:24000].astype(np.int16)
    wavfile.write(tmp_path / "voice.wav", 16000, samples)
    return samples


def test_public_names_exist_and_load_lazily():
    assert all(getattr(sertk, name) is not None for name in sertk.__all__) and set(sertk.__all__) <= set(dir(sertk))
    script = "import sertk, sys; assert not {'numpy', 'torch', 'click'} & set(sys.modules); sertk.nothing"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "AttributeError: module 'sertk' has no attribute 'nothing'" in done.stderr


def test_features_are_those_of_make_fbank(model, samples, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wav.scp").write_text("voice voice.wav\n")
    call("make-fbank", "--num-mel-bins=16", "--cmvn=true", "--compress=none", "scp:wav.scp", "ark:feats.ark")
    [(_, feats)] = sertk.read_table("ark:feats.ark")
    assert np.array_equal(model.features(samples, 16000), feats)
    assert np.array_equal(model.features(samples / np.float32(32768), 16000), feats)
    assert np.array_equal(model.extract.of_file(tmp_path / "voice.wav"), feats)
    assert model.output(feats, "pool").shape == (64,) and model.embedding(samples, 16000).shape == (8,)


def test_probabilities_are_those_of_classify_audio(model, samples, call, tmp_path):
    probabilities = model.classify(samples, 16000)
    assert list(probabilities) == ["ang", "neu", "sad"] and sum(probabilities.values()) == pytest.approx(1)
    assert model.classify_file(tmp_path / "voice.wav") == probabilities
    line = call("classify-audio", "--format=jsonl", "--precision=float32", model.path, tmp_path / "voice.wav").text
    assert all(f'"{label}": {round(p, 6)}' in line for label, p in probabilities.items())


def test_features_of_other_bins_are_refused(model):
    with pytest.raises(sertk.SertkError, match=r"final.pt: features of shape \(9, 8\), wanted \(frames, 16\)"):
        model.output(np.zeros((9, 8)))


@pytest.mark.parametrize("shape", [(60, 5), (60, 6, 5)])
def test_head_learns_what_vectors_tell_apart(shape):
    rng = np.random.default_rng(0)
    labels = [["ang", "sad"][i % 2] for i in range(60)]
    vectors = rng.normal(size=shape)
    vectors[::2] += 2
    head, names = sertk.train_head(vectors, labels, sertk.HeadSettings(epochs=2, versions=3, learning_rate=0.1), 8)
    guess = head(torch.from_numpy(vectors.reshape(60, -1, 5)[:, 0]).float()).argmax(1).tolist()
    assert sertk.score(labels, [names[i] for i in guess]).ua > 0.9


@pytest.mark.parametrize(
    ("vectors", "labels", "reason"),
    [
        (np.zeros((4, 3)), ["a"] * 4, "all segments are labelled a"),
        (np.zeros((4, 3)), ["a", "b"], r"vectors of shape \(4, 3\) for 2 labels"),
        (np.zeros((4, 2, 3)), ["a", "b"] * 2, "2 vectors a segment: 20 epochs of 3 versions"),
        (np.array([[0.0], [1], [np.nan], [1]]), ["a", "b"] * 2, "vector 2 is NaN or infinite"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(vectors, labels, reason):
    with pytest.raises(sertk.SertkError, match=reason):
        sertk.train_head(vectors, labels)


EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_examples_of_the_page_run(example, model, samples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with sertk.table_writer("ark,scp:feats.ark,feats.scp") as write:
        write("voice", model.features(samples, 16000))
    exec(example, {})
    # A comment behind a print begins with what is printed, where that is not a matter of the weights.
    shapes = re.findall(r"print\(.*shape\)+  # .*?(\(\d+, \d+\))", example)
    assert all(shape in capsys.readouterr().out for shape in shapes[:1])
    assert len(example.splitlines()) <= 14
