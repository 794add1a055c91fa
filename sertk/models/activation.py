"""PReLU with one slope a layer, at about the price of a ReLU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Numbers of a map whose products are summed at once: their copies in float32, 64 MB, do not grow with the network.
PIECE = 1 << 24


class LayerPReLU(nn.Module):
    """max(x, 0) + slope * min(x, 0) with one learned slope (He et al. 2015).

    The same function as nn.PReLU(), whose CPU kernel costs six to ten ReLUs in training; written as a leaky ReLU
    with a hand-written gradient of the slope it costs about two. Parameters and gradients are nn.PReLU's.

    Shape: any.
    """

    def __init__(self, slope: float = 0.25) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), slope))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation. Shape: any."""
        # Reading the slope would synchronise a GPU, and a compiler fuses the plain form by itself.
        if x.is_cpu and not torch.compiler.is_compiling():
            return _SlopedReLU.apply(x, self.weight)
        return functional.prelu(x, self.weight.to(x.dtype))


class _SlopedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return functional.leaky_relu(x, float(slope))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, slope = ctx.saved_tensors
        grad_x = grad_slope = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.ops.aten.leaky_relu_backward(grad, x, float(slope), False)
        if ctx.needs_input_grad[1]:
            grad_slope = _sum_below_zero(grad, x).reshape(1)
        return grad_x, grad_slope


def _sum_below_zero(grad: Tensor, x: Tensor) -> Tensor:
    """The sum of grad * min(x, 0), both (batch, …), in float32; large maps in pieces."""
    size = max(1, PIECE * len(x) // max(1, x.numel()))
    # Products in bfloat16 are accurate enough, their sum is not; sum(dtype=float32) is 20 times slower than this.
    sums = [(g * v.clamp(max=0)).float().sum() for g, v in zip(grad.split(size), x.split(size))]
    return torch.stack(sums).sum()


class ChannelPReLU(nn.PReLU):
    """PReLU with one learned slope a channel.

    Shape: (batch, channels, …)
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)


def activation(kind: str, channels: int) -> nn.Module:
    """The activation called `kind` (prelu, prelu-channel or relu) for maps of `channels` channels."""
    match kind:
        case "prelu":
            return LayerPReLU()
        case "prelu-channel":
            return ChannelPReLU(channels)
        case "relu":
            return nn.ReLU(inplace=True)
    raise ValueError(kind)
