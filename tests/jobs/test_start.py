"""The network that a training starts from."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sertk.errors import SertkError
from sertk.jobs.start import options_of_network, start_network
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_table, table_writer
from sertk.models.calibrated import calibrated
from sertk.models.modelfile import Model, load_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.labelling import Labelling
from sertk.training.settings import TrainingSettings

LABELS = ["ang", "hap", "neu", "sad"]
SIZE = {"channels": 2, "blocks": (1, 1, 1, 1), "embedding_dim": 8}
COSINE = {"output": "cosine", "scale": 16.0, "subcentres": 2}


def start(initial=None, labels=LABELS, options=None, **settings):
    inputs = SimpleNamespace(initial=initial, labelling=Labelling(labels, {}, {}), store=SimpleNamespace(bins=16))
    return start_network(inputs, Path("first.pt"), TrainingSettings(**settings), SIZE | (options or {}))


def model(**fields):
    torch.manual_seed(5)
    return Model(ResNet(NetworkSpec(4, 16, **SIZE, **fields)), LABELS)


def same(network, other):
    return all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values()))


def test_margin_loss_has_a_cosine_classifier():
    spec = start(loss="aam", options={"scale": None, "subcentres": 3}).spec
    assert (spec.output, spec.scale, spec.subcentres) == ("cosine", 32.0, 3)
    assert options_of_network(spec)["subcentres"] == 3
    assert start().spec == NetworkSpec(4, 16, **SIZE) and "scale" not in options_of_network(start().spec)


@pytest.mark.parametrize("options", [{}, {"scale": 16.0, "subcentres": 2}, {"scale": 40.0}])
def test_centres_are_kept_if_labels_are_the_same(caplog, options):
    """Large-margin fine-tuning keeps them; scale and sub-centres are the initial model's unless given."""
    initial = model(**COSINE)
    with caplog.at_level(logging.INFO):
        network = start(initial, loss="aam", options=options)
    assert "trunk and head are kept" in caplog.text and same(network, initial.network)
    assert (network.spec.subcentres, network.spec.scale) == (2, options.get("scale", 16.0))
    assert network.head.output.scale == network.spec.scale


def test_training_goes_on_with_the_scale_of_before_calibration():
    network = start(calibrated(model(**COSINE), 4.0, "results.json"), loss="aam")
    assert network.spec.scale == network.head.output.scale == 16


@pytest.mark.parametrize(
    ("fields", "settings", "options", "said"),
    [
        (COSINE, {}, {}, "pooling stats and cosines to 2 centres of each label"),
        ({}, {"loss": "am"}, {}, "pooling stats and a linear output"),
        (COSINE, {"loss": "aam"}, {"subcentres": 1}, "pooling stats and cosines to 2 centres"),
        ({"pooling": "mean"}, {}, {"pooling": "stats"}, "pooling mean and a linear output"),
    ],
)
def test_head_of_another_kind_is_replaced_with_a_warning(caplog, fields, settings, options, said):
    initial = model(**fields)
    network = start(initial, options=options, **settings)
    assert f"its head has {said}" in caplog.text and "it is not kept, though the labels are the same" in caplog.text
    assert same(network.trunk, initial.network.trunk) and not same(network.head, initial.network.head)


def test_emotions_start_from_the_trunk_of_a_margin_network(caplog):
    initial = model(**COSINE)
    network = start(initial, labels=["angry", "sad"])
    assert network.spec == NetworkSpec(2, 16, **SIZE) and same(network.trunk, initial.network.trunk)
    assert "not kept" not in caplog.text


def test_more_penalised_labels_than_others_are_refused():
    with pytest.raises(SertkError, match="--inter-topk 4: there are only 3 other labels"):
        start(loss="aam", inter_topk=4)


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


def test_attention_is_trained_on_a_frozen_trunk(toy, train):
    train("first", "--epochs", 1)
    before = load_model(toy / "first/final.pt").network
    frozen = ("--epochs", 1, "--train", "head", "--num-threads", 1)
    train("attentive", *frozen, "--init", toy / "first/final.pt", "--pooling", "attentive", network=())
    after = load_model(toy / "attentive/final.pt").network
    assert after.spec.pooling == "attentive" and same(before.trunk, after.trunk)
    assert after.pool.score.weight.abs().min() > 0


def test_other_labels_keep_a_trained_attention():
    initial = model(pooling="attentive")
    initial.network.pool.score.weight.data.normal_()
    assert same(start(initial, labels=["angry", "sad"]).pool, initial.network.pool)
    assert not same(start(initial, options={"pooling": "stats"}).head, initial.network.head)


def test_input_normalisation_comes_from_the_training_folds(toy, train):
    """Its statistics are those of the segments that are trained on; fine-tuning keeps them, or takes its segments'."""
    options = ("--epochs", 1, "--input-norm", "true", "--fold", "1", "--utt2fold", toy / "utt2fold")
    assert "for features without cmvn-segment; these have cmvn=segment" in train("first", *options).err
    network = load_model(toy / "first/final.pt").network
    fold_of = dict(line.split() for line in (toy / "utt2fold").read_text().splitlines())
    table = read_table(parse_rspecifier(f"scp:{toy}/feats.scp"))
    frames = np.concatenate([feats for key, feats in table if fold_of[key] != "1"])
    np.testing.assert_allclose(network.trunk.norm.mean, frames.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(network.trunk.norm.deviation, frames.std(axis=0), rtol=1e-5)
    train("second", "--epochs", 1, "--init", toy / "first/final.pt", network=())
    assert torch.equal(load_model(toy / "second/final.pt").network.trunk.norm.mean, network.trunk.norm.mean)
    again = ("second", "--epochs", 1, "--init", toy / "first/final.pt", "--input-norm", "true")
    assert "input_norm=None, now it is" in train(*again, network=(), code=1).err
    train(*again, "--restart", "true", network=())
    everything = np.concatenate([feats for _, feats in read_table(parse_rspecifier(f"scp:{toy}/feats.scp"))])
    adapted = load_model(toy / "second/final.pt").network.trunk
    np.testing.assert_allclose(adapted.norm.mean, everything.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(adapted.norm.deviation, everything.std(axis=0), rtol=1e-5)
    rows = list(read_table(parse_rspecifier(f"scp:{toy}/feats.scp")))
    with table_writer(f"ark,scp:{toy}/feats.ark,{toy}/feats.scp", settings={"cmvn": "none"}) as write:
        for key, feats in rows:
            write(key, feats)
    assert "cmvn-segment" not in train("third", *options).err
