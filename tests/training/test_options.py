"""Options of a training that the paper does not use: what they do to batches, BatchNorm and the loss."""

import json

import numpy as np
import pytest
import torch

from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model
from sertk.models.resnet import NetworkSpec
from sertk.training.head import HeadTraining
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

SPEC = NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)


def records(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


@pytest.fixture
def rare(toy):
    """The toy task with three of 'sad' instead of ten."""
    labels = read_list(toy / "utt2label")
    sad = [key for key, label in labels.items() if label == "sad"]
    write_list(toy / "utt2label", {key: "ang" if key in sad[3:] else label for key, label in labels.items()})
    return toy


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_batch_norm_of_what_is_frozen_keeps_its_statistics_or_takes_the_batches(toy, train, mode):
    train("speakers", "--epochs", 1)
    before = load_model(toy / "speakers/final.pt").network.trunk.state_dict()
    train("tuned", "--epochs", 1, "--init", toy / "speakers/final.pt", "--train", "from-block-3",
          "--frozen-batchnorm", mode)  # fmt: skip
    after = load_model(toy / "tuned/final.pt").network.trunk.state_dict()
    weights = ("stem.weight", "bn.weight", "bn.bias", "act.weight", "stages.1.0.conv1.weight", "stages.1.0.bn2.weight")
    assert all(torch.equal(before[name], after[name]) for name in weights)
    kept = [torch.equal(before[name], after[name]) for name in ("bn.running_mean", "stages.1.0.bn2.running_var")]
    assert kept == [mode == "eval"] * 2
    assert not torch.equal(before["stages.2.0.conv1.weight"], after["stages.2.0.conv1.weight"])


def test_batch_norm_of_what_is_not_frozen_cannot_be_chosen(toy, train):
    err = train("exp", "--frozen-batchnorm", "train", code=2).err
    assert "--frozen-batchnorm train: nothing is frozen (--train head or from-block-N)" in err


def test_balanced_sampling_is_as_long_an_epoch_and_resumes_bitwise(rare, train):
    train("twice", "--epochs", 1, "--sampling", "balanced")
    train("twice", "--epochs", 2, "--sampling", "balanced")
    train("once", "--epochs", 2, "--sampling", "balanced")
    train("natural", "--epochs", 1)
    assert (rare / "twice/final.pt").read_bytes() == (rare / "once/final.pt").read_bytes()
    assert records(rare / "once")[0]["chunks"] == records(rare / "natural")[0]["chunks"] == 120
    assert records(rare / "once")[0]["loss"] != records(rare / "natural")[0]["loss"]
    err = train("natural", "--epochs", 2, "--sampling", "balanced", code=1).err
    assert "sampling=natural, now it is balanced" in err


def test_a_head_sees_each_class_equally_often_when_balanced():
    targets = Targets(torch.tensor([0] * 20 + [1] * 4 + [2] * 3 + [3] * 5))
    members = np.arange(1, 32)  # not the first
    head = HeadTraining(SPEC, members, targets, HeadSettings(sampling="balanced"), torch.device("cpu"))
    seen = []

    def vectors(segments, versions):
        seen.extend(segments.tolist())
        return torch.zeros(len(segments), SPEC.pooled_dim)

    head.train_epoch(vectors)
    assert len(seen) == 93 and 0 not in seen
    assert sorted(np.bincount(targets.labels[seen])) == [
        21,
        24,
        24,
        24,
    ]  # 31 segments: 7 or 8 of each class, three versions
