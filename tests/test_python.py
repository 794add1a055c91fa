"""The Python entrance: public names, and that they compute what the binaries compute."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from networks import save_toy_model
from references import signal
from scipy.io import wavfile
from support import ROOT

import sertk


@pytest.fixture
def model(tmp_path):
    save_toy_model(tmp_path / "final.pt")
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
    save_toy_model(tmp_path / "byspeaker.pt", "group")
    exec(example, {})
    # A comment behind a print begins with what is printed, where that is not a matter of the weights.
    shapes = re.findall(r"print\(.*shape\)+  # .*?(\(\d+, \d+\))", example)
    assert all(shape in capsys.readouterr().out for shape in shapes[:1])
    assert len(example.splitlines()) <= 14
