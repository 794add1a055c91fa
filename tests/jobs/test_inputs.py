"""What a training starts from: the initial model, its head, features that do not fit."""

import numpy as np
import torch

from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_table
from sertk.models.modelfile import load_model


def test_head_is_kept_if_labels_are_the_same(toy, train):
    train("first", "--epochs", 1)
    err = train("second", "--epochs", 1, "--init", toy / "first/final.pt", "--learning-rate", 1e-9).err
    assert "trunk and head are kept" in err
    pair = [load_model(toy / name / "final.pt").network.head.output.weight for name in ("first", "second")]
    torch.testing.assert_close(*pair, atol=1e-6, rtol=0)


def test_input_normalisation_comes_from_the_training_folds(toy, train):
    """Its statistics are those of the segments that are trained on, and fine-tuning keeps them."""
    train("first", "--epochs", 1, "--input-norm", "true", "--fold", "1", "--utt2fold", toy / "utt2fold")
    network = load_model(toy / "first/final.pt").network
    fold_of = dict(line.split() for line in (toy / "utt2fold").read_text().splitlines())
    table = read_table(parse_rspecifier(f"scp:{toy}/feats.scp"))
    frames = np.concatenate([feats for key, feats in table if fold_of[key] != "1"])
    np.testing.assert_allclose(network.trunk.norm.mean, frames.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(network.trunk.norm.deviation, frames.std(axis=0), rtol=1e-5)
    train("second", "--epochs", 1, "--init", toy / "first/final.pt", network=())
    assert torch.equal(load_model(toy / "second/final.pt").network.trunk.norm.mean, network.trunk.norm.mean)


def test_options_that_contradict_the_initial_model_are_refused(toy, train):
    train("first", "--epochs", 1)
    init = ("--epochs", 1, "--init", toy / "first/final.pt")
    assert "--channels: " in train("second", *init, "--channels", 4, code=1).err
    assert (
        "must be all, head or from-block-N with N from 1 to 4"
        in train("second", *init, "--train", "from-block-9", code=1).err
    )


def test_network_without_pooling_starts_from_one_with_it(toy, train):
    train("first", "--epochs", 1)
    before = load_model(toy / "first/final.pt").network
    init = ("--epochs", 1, "--init", toy / "first/final.pt", "--pooling", "none", "--num-threads", 1)
    assert "give --chunk-frames one number" in train("flat", *init, network=(), code=1).err
    err = train("flat", *init, "--chunk-frames", 24, "--train", "head", network=()).err
    assert "the head of 4 labels is replaced by one of 4" in err  # the same labels, but another pooling
    after = load_model(toy / "flat/final.pt").network
    assert (after.spec.pooling, after.spec.frames, after.head.embedding.in_features) == ("none", 24, 16 * 2 * 3)
    assert all(torch.equal(a, b) for a, b in zip(before.trunk.parameters(), after.trunk.parameters()))
    back = ("--epochs", 1, "--init", toy / "flat/final.pt", "--num-threads", 1)
    assert "give --chunk-frames 24" in train("again", *back, network=(), code=1).err
    train("again", *back, "--pooling", "stats", network=())
    assert load_model(toy / "again/final.pt").network.spec == before.spec
