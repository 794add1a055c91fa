"""Weights cast at once: the same updates, to the bit, as with autocast's own casts."""

import copy
import math

import pytest
import torch
from torch import nn

from sertk.models.beside import Beside
from sertk.models.compute import autocast
from sertk.models.convolution import convolve
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.castonce import CastOnce
from sertk.training.freezing import freeze

CPU = torch.device("cpu")


@pytest.mark.parametrize(("part", "output"), [("all", "linear"), ("from-block-2", "cosine")])
def test_updates_are_those_of_autocasts_own_casts(part, output):
    torch.manual_seed(0)
    spec = NetworkSpec(3, bins=16, channels=16, blocks=(1, 1, 1, 1), embedding_dim=8, output=output)
    networks = [ResNet(spec).to(memory_format=torch.channels_last)]
    networks.append(copy.deepcopy(networks[0]))
    chunks, found = torch.randn(4, 16, 24), []
    for network, call in zip(networks, (networks[0], CastOnce(networks[1], CPU))):
        freeze(network, part).train_mode(network)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimiser = torch.optim.SGD(trained, 0.1, 0.9)
        for _ in range(2):
            optimiser.zero_grad()
            with autocast(CPU, "bf16"):
                logits = call(chunks)
            logits.float().square().sum().backward()
            optimiser.step()
        found.append(logits)
    assert torch.equal(*found)
    for (name, ours), theirs in zip(networks[1].state_dict().items(), networks[0].state_dict().values()):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs), name
    assert [p.grad is None for p in networks[0].parameters()] == [p.grad is None for p in networks[1].parameters()]


def test_weights_are_copied_once_a_step(monkeypatch):
    """Two calls for all layers together, there and back; autocast has nothing left to cast."""
    calls, copy_all = [], torch._foreach_copy_
    monkeypatch.setattr(
        torch, "_foreach_copy_", lambda to, of: calls.append((len(of), of[0].dtype)) or copy_all(to, of)
    )
    network = ResNet(NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8))
    with autocast(CPU, "bf16"):
        logits = CastOnce(network, CPU)(torch.randn(4, 16, 24))
    logits.float().sum().backward()
    layers = 1 + 4 * 2 + 3 + 2 * 2  # stem, blocks, shortcuts, two linear layers with their biases
    assert calls == [(layers, torch.float32), (layers, torch.bfloat16)]


class Later(Beside):
    """Computes as a second stream of a GPU does: nothing is there before join()."""

    computed = 0

    def compute(self, function, *given):
        self.computed += 1
        self.under_way.append(((found := function(*given)), found.clone()))
        return found.fill_(math.nan)

    def join(self):
        while self.under_way:
            found, gradient = self.under_way.popleft()
            found.copy_(gradient)


def test_gradients_of_a_second_stream_are_cast_after_it():
    conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
    conv.forward = lambda x: convolve(conv, x, torch.zeros(16))[0]
    x = torch.randn(2, 16, 3, 4).bfloat16().contiguous(memory_format=torch.channels_last)
    once = CastOnce(conv, CPU)
    once.beside = Later(CPU)
    with autocast(CPU, "bf16"):
        out = once(x)
    out.float().square().sum().backward()
    weight = conv.weight.detach().bfloat16().requires_grad_()
    nn.functional.conv2d(x, weight, padding=1).float().square().sum().backward()
    assert once.beside.computed == 1 and torch.equal(conv.weight.grad, weight.grad.float())
