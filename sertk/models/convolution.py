"""Convolutions in the fused form of a training step: cuDNN's, called in ways that take it less time.

A network's first stage has 32 channels, with which cuDNN's gradient of the weights keeps a GPU's matrix units a sixth busy; one
strided 1 × 1 convolution takes longer than a copy of the cells that it needs and their product. benchmarks/README.md has the
times, of an H200.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from sertk.models.kernels import kernels_take

# Channels with which two frames side by side are taken as one of twice the channels; channels of the input of that 1 × 1
# convolution: with others, a copy of the cells takes longer.
PAIRED, STRIDED = 32, 64


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """conv(x), and its gradients, by a faster way if there is one.

    Args:
        conv: a convolution without bias, 3 × 3 with padding 1 or 1 × 1 with padding 0.
        x: its input.

    Shape:
        - Input: (batch, channels_in, bins, frames)
        - Output: (batch, channels, bins / stride, frames / stride)
    """
    in_bf16 = kernels_take(x) and x.dtype == conv.weight.dtype == torch.bfloat16
    if in_bf16 and _is_paired(conv.weight, conv.stride[0], x):
        return Paired.apply(x, conv.weight)
    if in_bf16 and conv.kernel_size == (1, 1) and conv.stride[0] > 1 and conv.in_channels == STRIDED:
        return Strided.apply(x, conv.weight, conv.stride[0])
    return conv(x)


def _is_paired(weight: Tensor, stride: int, x: Tensor) -> bool:
    return tuple(weight.shape) == (PAIRED, PAIRED, 3, 3) and stride == 1 and x.shape[3] % 2 == 0


class Paired(torch.autograd.Function):
    """A 3 × 3 convolution whose weights get their gradient from pairs of frames.

    In memory two frames of C channels are one of 2 C. The gradient of a convolution between such pairs has twice the products,
    half of them of frames that the 3 × 3 cells do not join, on matrix units that are more than three times as busy.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Output, as torch's."""
        ctx.save_for_backward(x, weight)
        return conv2d(x, weight, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        """Gradients of x and weight."""
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        of_x = _backward(grad, x, weight, 1, of_weight=False) if ctx.needs_input_grad[0] else None
        # Of the weights only their size is taken.
        pairs = weight.new_empty(2 * len(weight), 3, 3, 2 * len(weight)).permute(0, 3, 1, 2)
        of_pairs = _backward(_in_pairs(grad), _in_pairs(x), pairs, 1, of_weight=True)
        return of_x, of_pairs[_joined(len(weight), weight.device)].sum(0).permute(0, 3, 1, 2)


def _in_pairs(maps: Tensor) -> Tensor:
    """The same memory as maps of half the frames: (batch, 2 * channels, bins, frames / 2), the earlier frame's channels first."""
    batch, channels, bins, frames = maps.shape
    return maps.permute(0, 2, 3, 1).view(batch, bins, frames // 2, 2 * channels).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _joined(channels: int, device: torch.device) -> tuple[Tensor, ...]:
    """Where the gradient of pairs has that of a weight: indices (2, channels, 3, 3, channels), as (two, out, row, column, in).

    Frame 2 p + i is joined with frame 2 (p + d) + j, 2 d + j - i later, for two of the four (i, j).
    """
    places = {-1: ((1, 0, 0), (0, 1, -1)), 0: ((0, 0, 0), (1, 1, 0)), 1: ((0, 1, 0), (1, 0, 1))}  # (i, j, d)
    two = torch.tensor([[places[later][n] for later in (-1, 0, 1)] for n in range(2)], device=device)
    i, j, d = (field[:, None, None, :, None] for field in two.unbind(-1))
    of = torch.arange(channels, device=device)
    rows = torch.arange(3, device=device)[None, None, :, None, None]
    return i * channels + of[None, :, None, None, None], j * channels + of, rows, d + 1


class Strided(torch.autograd.Function):
    """A 1 × 1 convolution with a stride: of the cells that it takes, copied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        """Output, as torch's."""
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return conv2d(x[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last), weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        """Gradients of x and weight."""
        x, weight = ctx.saved_tensors
        of_x = _backward(grad, x, weight, ctx.stride, of_weight=False) if ctx.needs_input_grad[0] else None
        return of_x, _backward(grad, x, weight, ctx.stride, of_weight=True), None


def _backward(grad: Tensor, x: Tensor, weight: Tensor, stride: int, *, of_weight: bool) -> Tensor:
    """Gradient of a convolution's weights, or of its input, by torch."""
    padding = weight.shape[-1] // 2
    how = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [not of_weight, of_weight, False])
    return torch.ops.aten.convolution_backward(grad, x, weight, None, *how)[int(of_weight)]
