"""BatchNorm, shortcut, activation and mask in one pass over the maps, on a device: float64's values, the same bits again."""

import pytest
import torch
from convolutions import CASES, convolution_results
from normacts import few_programs, results, stem_results, worst
from torch import nn

from sertk.models import normact
from sertk.models.compute import autocast
from sertk.models.convolution import convolve
from sertk.models.normact import obstacle
from sertk.models.pooling import TINY, StatsPool
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runtime import choose_device
from sertk.training.castonce import CastOnce

GPU = pytest.mark.gpu


@pytest.mark.parametrize(
    ("device", "shape", "dtype", "most"),
    [
        ("cpu", (2, 3, 2, 5), torch.float32, 2e-6),
        pytest.param("cuda", (2, 48, 3, 75), torch.float32, 2e-5, marks=GPU),
        pytest.param("cuda", (1, 300, 5, 7), torch.bfloat16, 2**-7, marks=GPU),
        pytest.param("cuda", (32, 32, 128, 150), torch.bfloat16, 2**-7, marks=GPU),  # the paper's first stage
        pytest.param("cuda", (32, 256, 16, 38), torch.bfloat16, 2**-7, marks=GPU),  # and its last
    ],
    indirect=["device"],
)
@pytest.mark.parametrize(
    ("kind", "shortcut", "masked"), [("prelu", True, False), ("prelu-channel", False, True), ("prelu", "norm", False)]
)
def test_fused_form_on_the_device(device, shape, dtype, most, kind, shortcut, masked):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert obstacle(torch.device(device)) is None
    case = (shape, kind, shortcut, masked)
    first, second = (results(*case, fused=True, dtype=dtype, device=device) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert worst(first, results(*case, exact=True, dtype=dtype, device=device)) < most


@pytest.mark.parametrize(
    ("device", "shape", "dtype", "most"),
    [
        ("cpu", (2, 16, 3, 5), torch.float32, 2e-5),
        pytest.param("cuda", (2, 48, 3, 75), torch.float32, 2e-5, marks=GPU),
        pytest.param("cuda", (1, 20, 5, 7), torch.bfloat16, 2**-6, marks=GPU),
        pytest.param("cuda", (32, 32, 128, 150), torch.float32, 1e-4, marks=GPU),
        pytest.param("cuda", (32, 32, 128, 150), torch.bfloat16, 2**-6, marks=GPU),  # the paper's
    ],
    indirect=["device"],
)
def test_the_fused_stem_on_the_device(device, shape, dtype, most):
    pytest.importorskip("triton", reason="this torch came without Triton")
    case = (shape, "prelu")
    first, second = (stem_results(*case, fused=True, dtype=dtype, device=device) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert worst(first, stem_results(*case, exact=True, dtype=dtype, device=device)) < most


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)], indirect=True)
@pytest.mark.parametrize(("case", "faster"), CASES.items())
def test_convolutions_of_the_fused_form_on_the_device(device, case, faster):
    wanted = convolution_results(*case, lambda conv, x: conv(x), torch.float64, device)

    def fused(conv, x):
        return convolve(conv, x, torch.zeros(conv.out_channels, device=device))[0]

    first, second = (convolution_results(*case, fused, torch.bfloat16, device) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    for one, other in zip(first, wanted, strict=True):
        assert one.shape == other.shape and one.is_contiguous(memory_format=torch.channels_last)
        assert float((one.double() - other).abs().max() / other.abs().max()) < 2**-7


@pytest.mark.parametrize(
    ("device", "shape"),
    [
        ("cpu", (2, 32, 3, 5)),
        pytest.param("cuda", (3, 32, 7, 75), marks=GPU),
        pytest.param("cuda", (32, 32, 128, 150), marks=GPU),  # the paper's
    ],
    indirect=["device"],
)
def test_the_layer_of_a_thin_convolution_on_the_device(device, shape):
    """In bf16: float64's values, gradients and running statistics, of an input with a mean.

    Without an activation, whose gradient would jump where rounding changes a sign, and with a BatchNorm that scales by 0.8: near
    1, rounding to bf16 loses what is subtracted from a gradient, in torch's form as well.
    """
    pytest.importorskip("triton", reason="this torch came without Triton")
    random, found = torch.Generator().manual_seed(0), {}
    x, grad = (torch.randn(shape, generator=random) + mean for mean in (1, 0))
    weights = torch.randn(32, 32, 3, 3, generator=random) / 17
    for name in ("exact", "first", "second"):
        dtype = torch.float64 if name == "exact" else torch.bfloat16
        conv, norm = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32).to(device)
        conv.weight.data, norm.weight.data = weights.bfloat16(), torch.full((32,), 0.8, device=device)
        conv.to(device, dtype, memory_format=torch.channels_last)
        normact.use_fused(norm if name != "exact" else norm.double(), name != "exact")
        given, grads = (t.bfloat16().to(device, dtype).contiguous(memory_format=torch.channels_last) for t in (x, grad))
        out, _ = normact.conv_norm_act(given.requires_grad_(), conv, norm, nn.Identity())
        gradients = torch.autograd.grad(out, [given, conv.weight, *norm.parameters()], grads)
        found[name] = out.detach(), *gradients, *norm.buffers()
    assert all(torch.equal(a, b) for a, b in zip(found["first"], found["second"]))
    assert worst(found["first"], found["exact"]) < 2**-5


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)], indirect=True)
def test_gradients_of_weights_beside_are_those_of_one_stream(device):
    """Up to rounding: what is read before it was computed, or is overwritten, is not near."""
    torch.manual_seed(0)
    network = ResNet(NetworkSpec(3, bins=64, channels=32, blocks=(2, 1, 1, 1), embedding_dim=8))
    network.to(choose_device(device)).to(memory_format=torch.channels_last)
    normact.use_fused(network, True)
    once, chunks, found = CastOnce(network, torch.device(device)), torch.randn(32, 64, 150, device=device), []
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for stream in (once.beside.stream, None):
        once.beside.stream = stream
        network.load_state_dict(before)  # sums of statistics are taken about the running means
        network.zero_grad()
        with autocast(torch.device(device), "bf16"):
            logits = once(chunks)
        logits.float().square().sum().backward()
        found.append([parameter.grad for parameter in network.parameters() if parameter.dim() == 4])
    for beside, alone in zip(*found, strict=True):
        assert float((beside - alone).norm() / alone.norm()) < 1e-2


@pytest.mark.parametrize(
    ("device", "shape", "dtype"),
    [
        ("cpu", (2, 16, 3, 5), torch.float32),
        ("cpu", (2, 20, 2, 1), torch.bfloat16),
        pytest.param("cuda", (2, 48, 3, 75), torch.float32, marks=GPU),
        pytest.param("cuda", (256, 256, 16, 25), torch.bfloat16, marks=GPU),  # the paper's
    ],
    indirect=["device"],
)
@pytest.mark.parametrize(("unbiased", "epsilon"), [(False, 1e-5), (True, 0.0)])
def test_fused_pooling_on_the_device(device, shape, dtype, unbiased, epsilon):
    """float64's values and gradients, of a constant bin too."""
    pytest.importorskip("triton", reason="this torch came without Triton")
    random, found = torch.Generator().manual_seed(0), {}
    maps = (torch.randn(shape, generator=random) + 1).to(dtype)
    maps[0, 0, 0] = 0
    grad = torch.randn(shape[0], 2 * shape[1] * shape[2], generator=random)
    pool = StatsPool(unbiased, epsilon)
    for name in ("exact", "first", "second"):
        normact.use_fused(pool, name != "exact")
        given = maps.to(device, torch.float64 if name == "exact" else dtype)
        given = given.contiguous(memory_format=torch.channels_last).requires_grad_()
        # Of torch's form the sums are float32's whatever is given.
        out = stats_in_float64(given, unbiased, epsilon) if name == "exact" else pool(given)
        found[name] = out.detach(), *torch.autograd.grad(out, given, grad.to(device, out.dtype))
    assert all(torch.equal(a, b) for a, b in zip(found["first"], found["second"]))
    assert worst(found["first"], found["exact"]) < (2e-5 if dtype == torch.float32 else 2**-7)


def stats_in_float64(maps, unbiased, epsilon):
    variance = maps.var(dim=-1, correction=int(unbiased and maps.shape[-1] > 1))
    deviation = (variance + epsilon if epsilon else variance.clamp(min=TINY)).sqrt()
    return torch.cat([maps.mean(dim=-1).flatten(1), deviation.flatten(1)], dim=1)


def test_a_network_in_the_fused_form_learns_the_same(device, monkeypatch):
    """The gradients; and every BatchNorm is in that form: none got maps in a layout that is left to torch."""
    pytest.importorskip("triton", reason="this torch came without Triton")
    if device == "cpu":
        few_programs(monkeypatch)
    torch.manual_seed(0)
    network = ResNet(NetworkSpec(3, bins=8, channels=16, blocks=(1, 1, 1, 1), embedding_dim=8))
    network.to(choose_device(device)).to(memory_format=torch.channels_last)
    chunks, calls, gradients = torch.randn(3, 8, 8).to(device), [], []
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    apply = normact.FusedNormAct.apply
    monkeypatch.setattr(normact.FusedNormAct, "apply", lambda *given: calls.append(given) or apply(*given))
    for fused in (False, True):
        network.load_state_dict(before)
        normact.use_fused(network, fused)
        network.zero_grad()
        network(chunks).square().sum().backward()
        tensors = [parameter.grad for parameter in network.parameters()]
        gradients.append([tensor.clone() for tensor in (*tensors, *network.buffers())])
    assert len(calls) == 8  # two in each block, the second with the shortcut's
    for fused, plain in zip(*gradients):
        torch.testing.assert_close(fused, plain, rtol=1e-3, atol=1e-4)
    with autocast(torch.device(device), "bf16"):
        network(chunks)
    assert len(calls) == 16
    network.eval()  # stored statistics: torch's operations
    network(chunks)
    assert len(calls) == 16
