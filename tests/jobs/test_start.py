"""The network that a training starts from."""

import logging
from pathlib import Path

import pytest
import torch

from sertk.errors import SertkError
from sertk.jobs.start import options_of_network, start_network
from sertk.models.modelfile import Model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.settings import TrainingSettings

LABELS = ["ang", "hap", "neu", "sad"]
SIZE = {"channels": 2, "blocks": (1, 1, 1, 1), "embedding_dim": 8}
COSINE = {"output": "cosine", "scale": 16.0, "subcentres": 2}


def start(initial=None, labels=LABELS, options=None, **settings):
    return start_network(initial, Path("first.pt"), labels, 16, TrainingSettings(**settings), SIZE | (options or {}))


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
    """Large-margin fine-tuning goes on with them; scale and sub-centres are the initial model's unless given."""
    initial = model(**COSINE)
    with caplog.at_level(logging.INFO):
        network = start(initial, loss="aam", options=options)
    assert "trunk and head are kept" in caplog.text and same(network, initial.network)
    assert (network.spec.subcentres, network.spec.scale) == (2, options.get("scale", 16.0))
    assert network.head.output.scale == network.spec.scale


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
