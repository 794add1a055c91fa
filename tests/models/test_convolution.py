"""Which convolutions are computed in faster ways, and the statistics that they take; their values are tested in tests/gpu."""

import pytest
import torch
from convolutions import CASES, convolution_results
from torch import nn

from sertk.models import convolution
from sertk.models.convolution import convolve

ZEROS = torch.zeros(32)


@pytest.mark.usefixtures("interpreter")
@pytest.mark.parametrize(("case", "faster"), CASES.items())
def test_faster_ways_are_taken_where_they_are_known(case, faster, monkeypatch):
    called = set()
    for name in ("_thin", "_of_cells"):
        function = getattr(convolution, name)
        monkeypatch.setattr(convolution, name, lambda *given, of=function, name=name: called.add(name) or of(*given))
    convolution_results(*case, lambda conv, x: convolve(conv, x, ZEROS)[0], torch.bfloat16)
    assert called == ({faster} if faster else set())


def test_other_formats_are_left_to_torch():
    case = (32, 32, 3, 1, 8)
    wanted = convolution_results(*case, lambda conv, x: conv(x), torch.float32)
    found = convolution_results(*case, lambda conv, x: convolve(conv, x, ZEROS)[0], torch.float32)
    assert all(map(torch.equal, found, wanted))


@pytest.mark.usefixtures("interpreter")
@pytest.mark.parametrize("shape", [(2, 32, 3, 5), (3, 32, 1, 40), (1, 32, 5, 9)])
def test_a_thin_convolution_takes_its_own_statistics(shape, monkeypatch):
    """Of the values that it stores, which have means that are large against their deviations; tiles of 32 columns.

    The weights do not lie channels last.
    """
    monkeypatch.setattr(convolution, "COLUMNS", 32)
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 32, 3, padding=1, bias=False).bfloat16()
    x = (torch.randn(shape) / 8 + 4).bfloat16().contiguous(memory_format=torch.channels_last)
    out, partial = convolve(conv, x, (mean := (wanted := conv(x)).float().mean((0, 2, 3))) + 0.1)
    torch.testing.assert_close(out, wanted, rtol=2**-7, atol=2**-7)
    means, squares, number = partial.double().split([32, 32, 1], dim=1)
    rows = out.detach().double().permute(0, 2, 3, 1).reshape(-1, 32)
    assert len(partial) > 1 and number.sum() == len(rows) and mean.abs().max() > 1
    torch.testing.assert_close((means * number).sum(0) / len(rows), rows.mean(0), rtol=0, atol=1e-6)
    variance = (squares + number * (means - rows.mean(0)) ** 2).sum(0) / len(rows)
    torch.testing.assert_close(variance, rows.var(0, correction=0), rtol=2e-6, atol=0)


def test_no_gradients_of_frozen_weights_are_computed(monkeypatch):
    monkeypatch.setattr(convolution, "_of_weight", None)
    conv = nn.Conv2d(16, 16, 3, padding=1, bias=False).bfloat16().requires_grad_(False)
    x = torch.randn(2, 16, 3, 4).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    convolve(conv, x, ZEROS)[0].sum().backward()
    assert x.grad is not None and conv.weight.grad is None
