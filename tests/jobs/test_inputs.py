"""What a training starts from: the initial model, its head, features that do not fit."""

import torch

from sertk.models.modelfile import load_model


def test_head_is_kept_if_labels_are_the_same(toy, train):
    train("first", "--epochs", 1)
    err = train("second", "--epochs", 1, "--init", toy / "first/final.pt", "--learning-rate", 1e-9).err
    assert "trunk and head are kept" in err
    pair = [load_model(toy / name / "final.pt").network.head.output.weight for name in ("first", "second")]
    torch.testing.assert_close(*pair, atol=1e-6, rtol=0)


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
