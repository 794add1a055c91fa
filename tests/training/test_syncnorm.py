"""Synchronised BatchNorm: several processes normalise as one does."""

import pytest
import torch
from ranks import Ranks
from trainings import records, train_words, weights

from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.distributed import World
from sertk.training.syncnorm import SyncBatchNorm1d, SyncBatchNorm2d, _Synchronised, synchronise

# Masks that leave something of 16 bins: in a chunk of zeros whole maps are one number, and where PReLU has its kink at
# just that number, rounding decides on which side they all are.
STEPS = ("--epochs", 2, "--augment", "none,3:9:0.2:2:2,5:9:0.2:2:2")


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_processes_with_sync_batchnorm_equal_one(toy, train, size):
    train("one", *STEPS)
    Ranks(toy, size, train_words(toy, "several", *STEPS, "--sync-batchnorm", "true")).ended_well()
    one, several = weights(toy / "one/final.pt"), weights(toy / "several/final.pt")
    assert one["trunk.bn.num_batches_tracked"] == 8
    for name, tensor in one.items():
        torch.testing.assert_close(several[name], tensor, atol=1e-5, rtol=0, msg=lambda text, n=name: f"{n}: {text}")
    for a, b in zip(records(toy / "one"), records(toy / "several"), strict=True):
        assert (a["loss"], a["accuracy"], a["chunks"]) == (pytest.approx(b["loss"], abs=1e-5), b["accuracy"], 120)


def test_sync_batchnorm_is_on_the_device_of_the_old_one():
    """As on a GPU; the device "meta" has shapes only."""
    network = ResNet(NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1))).to("meta")
    synchronise(network, World(0, 2, 0))
    assert {type(m) for m in network.modules() if isinstance(m, _Synchronised)} == {SyncBatchNorm1d, SyncBatchNorm2d}
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}


def test_without_sync_each_process_normalises_its_share(toy, train):
    """What the option is there for: the same call without it ends elsewhere."""
    train("one", *STEPS)
    Ranks(toy, 2, train_words(toy, "two", *STEPS)).ended_well()
    one, two = weights(toy / "one/final.pt"), weights(toy / "two/final.pt")
    assert (one["head.output.weight"] - two["head.output.weight"]).abs().max() > 1e-3
