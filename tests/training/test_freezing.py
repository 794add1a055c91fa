"""Frozen layers: weights, statistics, weight decay; the optimiser."""

import inspect
import sys

import pytest
import torch

from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model
from sertk.models.resnet import Head, NetworkSpec
from sertk.training.freezing import decay_groups, sgd
from sertk.training.settings import DescentSettings


@pytest.mark.parametrize(
    ("part", "unchanged", "changed"),
    [
        ("head", ["stem.weight", "stages.3.0.conv2.weight", "stages.3.0.bn2.running_mean"], []),
        ("from-block-3", ["bn.running_var", "stages.1.0.conv1.weight"], ["stages.2.0.conv1.weight"]),
        ("all", [], ["stem.weight", "bn.running_mean"]),
    ],
)  # fmt: skip
def test_frozen_layers_keep_weights_and_statistics(toy, train, part, unchanged, changed):
    train("speakers", "--epochs", 1)
    before = load_model(toy / "speakers/final.pt").network.state_dict()
    write_list(toy / "utt2label", {key: label + "2" for key, label in read_list(toy / "utt2label").items()})
    err = train("tuned", "--epochs", 1, "--init", toy / "speakers/final.pt", "--train", part,
                network=("--chunk-frames", "24,32", "--num-threads", 1)).err  # fmt: skip
    assert "the trunk is kept, the head of 4 labels is replaced by one of 4" in err
    after = load_model(toy / "tuned/final.pt").network.state_dict()
    assert all(torch.equal(before[f"trunk.{name}"], after[f"trunk.{name}"]) for name in unchanged)
    assert not any(torch.equal(before[f"trunk.{name}"], after[f"trunk.{name}"]) for name in changed)
    assert not torch.equal(before["head.output.weight"], after["head.output.weight"])


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_frozen_batchnorm_in_evaluation_or_training_mode(toy, train, mode):
    """Its statistics stay those of the initial network, or follow the batches."""
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


def test_slopes_are_not_decayed():
    head = Head(NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8))
    groups = decay_groups(head, 0.1)
    assert [(group["weight_decay"], sum(p.numel() for p in group["params"])) for group in groups] == [
        (0.1, 64 * 8 + 8 + 16 + 8 * 4 + 4),
        (0.0, 1),
    ]
    groups = decay_groups(head, 0.1, decay_all=False)  # neither BatchNorm nor biases
    assert [(group["weight_decay"], sum(p.numel() for p in group["params"])) for group in groups] == [
        (0.1, 64 * 8 + 8 * 4),
        (0.0, 8 + 16 + 4 + 1),
    ]


def test_descent_is_torchs_and_does_not_load_the_compiler(monkeypatch):
    settings = DescentSettings(learning_rate=0.1, momentum=0.9, nesterov=True)
    start, gradients = torch.randn(5), torch.randn(3, 5)
    reference = torch.nn.Parameter(start.clone())
    theirs = torch.optim.SGD([{"params": [reference], "weight_decay": 0.2}], 0.1, 0.9, nesterov=True)
    for gradient in gradients:
        reference.grad = gradient.clone()
        theirs.step()
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        monkeypatch.delattr(inspect.unwrap(getattr(torch.optim.SGD, name)), "__dynamo_disable", raising=False)
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # importing it is an error
    parameter, state = torch.nn.Parameter(start.clone()), None
    for gradient in gradients:  # each step by another optimiser, resumed
        ours = sgd([{"params": [parameter], "weight_decay": 0.2}], settings)
        if state:
            ours.load_state_dict(state)
        parameter.grad = gradient.clone()
        ours.step()
        ours.zero_grad(set_to_none=True)
        state = ours.state_dict()
    assert parameter.grad is None
    torch.testing.assert_close(parameter, reference)
