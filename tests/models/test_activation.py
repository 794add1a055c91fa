"""PReLU of a layer: torch's values and gradients."""

import pytest
import torch
from torch import nn

from sertk.models import activation
from sertk.models.activation import LayerPReLU


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_our_prelu_is_torchs_with_the_same_gradients(dtype, layout):
    x = torch.randn(3, 16, 5, 7).to(dtype).to(memory_format=layout)
    grad = torch.randn(3, 16, 5, 7).to(dtype)
    results = []
    for module in (LayerPReLU(0.3), nn.PReLU(1, 0.3)):
        module.weight.data.fill_(0.3)
        inside = x.clone().requires_grad_()
        out = module(inside) if isinstance(module, LayerPReLU) else nn.functional.prelu(inside, module.weight.to(dtype))
        out.backward(grad)
        results.append((out, inside.grad, module.weight.grad))
    for ours, theirs in zip(results[0][:2], results[1][:2]):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*[r[2] for r in results], rtol=1e-5 if dtype == torch.float32 else 0.02, atol=0.05)


def test_a_slopes_gradient_sums_all_pieces_of_a_large_map(monkeypatch):
    x, grad = torch.randn(2, 5, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    gradients = []
    for piece in (activation.PIECE, 48, 1):  # five chunks of 24 numbers: all; two, two and one; each alone
        monkeypatch.setattr(activation, "PIECE", piece)
        module = LayerPReLU(0.3)
        module(x).backward(grad)
        gradients.append(float(module.weight.grad))
    assert gradients == pytest.approx([float((grad * x.clamp(max=0)).sum())] * 3, rel=1e-5)
