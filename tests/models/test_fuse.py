"""Networks for evaluation: the same function as the network that they are made of."""

import copy

import numpy as np
import pytest
import torch
from networks import trained
from torch import nn

from sertk.models.fuse import folded, for_evaluation
from sertk.models.inference import on_segments, output, padded

CPU = torch.device("cpu")


def same(a, b):
    """Within 1e-5 of the largest number."""
    torch.testing.assert_close(a, b, atol=1e-5 * float(b.abs().max()), rtol=0)


def test_a_folded_convolution_worked_by_hand():
    conv, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0).eval()
    conv.weight.data.fill_(2)
    norm.weight.data.fill_(3)
    norm.bias.data.fill_(0.5)
    norm.running_mean.fill_(1)
    norm.running_var.fill_(4)
    new = folded(conv, norm)
    # 3 (2 x - 1) / 2 + 0.5 = 3 x - 1
    assert (new.weight.item(), new.bias.item()) == (3, -1)


@pytest.mark.parametrize("activation", ["prelu", "prelu-channel", "relu"])
@pytest.mark.parametrize("at", ["pool", "embedding", "posterior"])
def test_folding_changes_nothing_in_a_padded_batch_or_out_of_one(activation, at):
    network = trained(activation=activation)
    before = copy.deepcopy(network.state_dict())
    fast = for_evaluation(network, CPU)
    segments = [torch.randn(frames, 16).numpy() for frames in (1, 9, 40, 57)]
    for batch in ([segments[2]], segments):
        feats, lengths = padded(batch)
        with torch.no_grad():
            same(output(fast, feats, lengths, at), output(network, feats, lengths, at))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("frames", [0, 24])
def test_maps_and_networks_without_pooling_are_folded_too(frames):
    network = trained(frames=frames, pooling="none" if frames else "stats")
    feats = torch.randn(3, 16, 24)
    with torch.no_grad():
        same(output(for_evaluation(network, CPU), feats, None, "map"), network.trunk(feats)[0].flatten(1))


def test_input_is_normalised_in_float32():
    """Of features around 1000, bf16 would keep nothing of what varies."""
    network = trained(input_norm=True)
    network.trunk.norm.adapt(torch.zeros(16), torch.ones(16))
    segment = torch.randn(30, 16).numpy()
    plain = dict(on_segments(network, [("a", segment)], "pool", CPU, "bf16"))
    network.trunk.norm.adapt(torch.full((16,), 1000.0), torch.full((16,), 2.0))
    moved = dict(on_segments(network, [("a", 2 * segment + 1000)], "pool", CPU, "bf16"))
    np.testing.assert_allclose(moved["a"], plain["a"], atol=0.02 * abs(plain["a"]).max())


def test_bf16_is_used_in_the_trunk_only():
    network = trained(channels=16)
    segments = [(str(frames), torch.randn(frames, 16).numpy()) for frames in (20, 33, 60)]
    exact = dict(on_segments(network, segments, "posterior", CPU))
    for key, posteriors in on_segments(network, segments, "posterior", CPU, "bf16"):
        assert posteriors.dtype == "float32" and posteriors.sum() == pytest.approx(1, abs=1e-5)
        assert 0 < abs(posteriors - exact[key]).max() < 0.05
    fast = for_evaluation(network, CPU, "bf16")
    assert {p.dtype for p in fast.trunk.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in fast.head.parameters()} == {torch.float32}
