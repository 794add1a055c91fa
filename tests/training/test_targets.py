"""Training targets: labels, rater votes, class weights."""

import json
import math

import numpy as np
import pytest
import torch
from toydata import LABELS

from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model
from sertk.models.resnet import NetworkSpec
from sertk.training.head import HeadTraining
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

# Posteriors of 3/4 and 1/4.
LOGITS = torch.tensor([[math.log(3), 0.0]])


@pytest.mark.parametrize(
    ("shares", "weights", "smoothing", "wanted"),
    [
        (None, None, 0.0, -math.log(0.75)),
        (None, [3.0, 0.5], 0.0, -3 * math.log(0.75)),
        (None, None, 0.2, -0.9 * math.log(0.75) - 0.1 * math.log(0.25)),
        ([0.6, 0.4], None, 0.0, -0.6 * math.log(0.75) - 0.4 * math.log(0.25)),
        # A fifth of 0.6 and 0.4 goes to both alike: 0.58 and 0.42.
        ([0.6, 0.4], None, 0.2, -0.58 * math.log(0.75) - 0.42 * math.log(0.25)),
        ([0.6, 0.4], [3.0, 0.5], 0.0, -3 * 0.6 * math.log(0.75) - 0.5 * 0.4 * math.log(0.25)),
        ([0.6, 0.4], [3.0, 0.5], 0.2, -3 * 0.58 * math.log(0.75) - 0.5 * 0.42 * math.log(0.25)),
    ],
)
def test_loss_is_the_cross_entropy_worked_by_hand(shares, weights, smoothing, wanted):
    one = Targets(torch.tensor([0]), *(None if x is None else torch.tensor(x) for x in (shares and [shares], weights)))
    assert one.loss(LOGITS, smoothing).item() == pytest.approx(wanted, rel=1e-6)
    both = Targets(*(x if x is None or i == 2 else x.repeat_interleave(2, 0) for i, x in enumerate(vars(one).values())))
    assert both.loss(LOGITS.repeat(2, 1), smoothing).item() == pytest.approx(2 * wanted, rel=1e-6)


def test_balanced_weights_are_1_on_average():
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2])
    weights = Targets(labels).balanced(3, np.arange(6)).weights  # 3, 1 and 2 of six
    assert weights.tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert weights[labels[:6]].mean().item() == pytest.approx(1)
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]])
    soft = Targets(torch.tensor([0, 0, 1]), shares).balanced(2)  # 2 and 1 of three
    assert soft.weights.tolist() == pytest.approx([3 / 4, 3 / 2])
    assert (soft.shares @ soft.weights).mean().item() == pytest.approx(1)


def test_unanimous_votes_train_as_labels_do(toy, train):
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2votes", {key: f"E1={label} E2={label}" for key, label in labels.items()})
    # Every third segment is taken for the next label by a third of its raters.
    following = dict(zip(LABELS, LABELS[1:] + LABELS[:1]))
    write_list(toy / "utt2split", {key: f"E1={label} E2={label} E3={following[label] if i % 3 else label}"
                               for i, (key, label) in enumerate(labels.items())})  # fmt: skip
    for name, options in (
        ("hard", ()),
        ("votes", ("--soft-labels", toy / "utt2votes")),
        ("split", ("--soft-labels", toy / "utt2split")),
    ):
        train(name, "--epochs", 2, "--label-smoothing", 0.1, *options)
    hard, votes, split = (load_model(toy / name / "final.pt") for name in ("hard", "votes", "split"))
    pairs = [[model.network.head.output.weight for model in pair] for pair in ((hard, votes), (hard, split))]
    torch.testing.assert_close(*pairs[0], atol=1e-4, rtol=1e-3)
    assert (pairs[1][0] - pairs[1][1]).abs().max() > 1e-3
    assert (
        "soft_labels="
        in train("votes", "--epochs", 3, "--label-smoothing", 0.1, "--soft-labels", toy / "utt2split", code=1).err
    )
    write_list(toy / "utt2other", {key: "E1=xxx" for key in labels})
    err = train("other", "--soft-labels", toy / "utt2other", code=1).err
    assert "none of 40 segments has a vote for ang hap neu sad" in err and "label_smoothing" not in err


def test_accuracy_is_by_the_label(toy):
    """Votes for the second label alone, and a network that says so: nothing is recognised where the label is the first."""
    wanted = Targets(torch.tensor([0, 0, 1]), torch.tensor([[0.0, 1.0]] * 3))
    assert wanted.correct(torch.tensor([[0.0, 5.0]] * 3)) == 1


def test_class_weights_reach_network_and_head(toy, train, call):
    labels = read_list(toy / "utt2label")
    for name in ("even", "balanced"):  # ten of each label: all weights are 1
        train(name, "--epochs", 1, "--class-weights", "none" if name == "even" else "balanced")
    even, balanced = (load_model(toy / name / "final.pt").network.head.output.weight for name in ("even", "balanced"))
    torch.testing.assert_close(even, balanced, atol=1e-5, rtol=1e-4)
    write_list(
        toy / "utt2label", {key: "ang" if label == "sad" and key > "spk2" else label for key, label in labels.items()}
    )
    losses = {}
    for name in ("none", "balanced"):
        train(f"rare-{name}", "--epochs", 1, "--class-weights", name)
        losses[name] = json.loads((toy / f"rare-{name}/train.jsonl").read_text())["loss"]
    assert losses["none"] != losses["balanced"] and losses["balanced"] == pytest.approx(losses["none"], rel=0.3)
    spec = NetworkSpec(2, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)
    settings = HeadSettings(class_weights="balanced")
    head = HeadTraining(spec, np.arange(4), Targets(torch.tensor([0, 0, 0, 1, 1])), settings, torch.device("cpu"))
    assert head.targets.weights.tolist() == pytest.approx([4 / 6, 4 / 2])
    err = train("both", "--class-weights", "balanced", "--sampling", "balanced", code=2).err
    assert "--class-weights balanced and --sampling balanced do the same: give one of them" in err
