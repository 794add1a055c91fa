"""Convolutions in the fused form of a training step: cuDNN's, called in ways that take it less time.

A network's first stage has 32 channels, with which cuDNN's gradient of the weights keeps a GPU's matrix units a sixth busy; one
strided 1 × 1 convolution takes longer than a copy of the cells that it needs and their product. benchmarks/README.md has the
times, of an H200.
"""

from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from sertk.models.beside import Beside, in_use
from sertk.models.kernels import kernels_take

convolution_backward = torch.ops.aten.convolution_backward

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
    if kernels_take(x) and x.dtype == conv.weight.dtype == torch.bfloat16:
        return Convolution.apply(x, conv.weight, conv.stride[0], in_use())
    return conv(x)


class Convolution(torch.autograd.Function):
    """A convolution of convolve."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, beside: Beside | None) -> Tensor:
        """Output, as torch's."""
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.beside = stride, beside
        if PF and _is_paired(x, weight, stride):
            pairs = _of_pairs(weight); ctx.save_for_backward(x, weight, pairs)
            out = conv2d(_in_pairs(x), pairs, padding=1)
            b, c, h, w = x.shape
            return out.permute(0, 2, 3, 1).reshape(b, h, w, c).permute(0, 3, 1, 2)
        if tuple(weight.shape[1:]) == (STRIDED, 1, 1) and stride > 1:
            return conv2d(x[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last), weight)
        return conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Gradients of x and weight."""
        x, weight, *pairs = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        of_x, of_weight = None, None
        if ctx.needs_input_grad[0]:
            if pairs:
                of_x = _of_input(_in_pairs(grad), _in_pairs(x), pairs[0], 1)
                b, c, h, w = x.shape
                of_x = of_x.permute(0, 2, 3, 1).reshape(b, h, w, c).permute(0, 3, 1, 2)
            else:
                of_x = _of_input(grad, x, weight, ctx.stride)
        if ctx.needs_input_grad[1]:
            of_weight = (ctx.beside or _AT_ONCE).compute(partial(_of_weight, stride=ctx.stride), grad, x, weight)
        return of_x, of_weight, None, None

PF = False
_AT_ONCE = Beside(torch.device("cpu"))
def _of_pairs(weight):
    n=len(weight)
    pairs = weight.new_zeros(2 * n, 3, 3, 2 * n).permute(0, 3, 1, 2)
    pairs[_joined(n, weight.device)] = weight.permute(0, 2, 3, 1)[None].expand(2,-1,-1,-1,-1)
    return pairs

def _is_paired(x: Tensor, weight: Tensor, stride: int) -> bool:
    return tuple(weight.shape) == (PAIRED, PAIRED, 3, 3) and stride == 1 and x.shape[3] % 2 == 0


def _of_input(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of a convolution's input."""
    return convolution_backward(grad, x, weight, None, *_how(weight, stride), [True, False, False])[0]


def _of_weight(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of a convolution's weights, of which only the size is taken."""
    if not _is_paired(x, weight, stride):
        return convolution_backward(grad, x, weight, None, *_how(weight, stride), [False, True, False])[1]
    # In memory two frames of C channels are one of 2 C. The gradient of a convolution between such pairs has twice the products,
    # half of them of frames that the 3 × 3 cells do not join, on matrix units that are more than three times as busy.
    pairs = weight.new_empty(2 * len(weight), 3, 3, 2 * len(weight)).permute(0, 3, 1, 2)
    how = _how(weight, stride)
    of_pairs = convolution_backward(_in_pairs(grad), _in_pairs(x), pairs, None, *how, [False, True, False])[1]
    return of_pairs[_joined(len(weight), weight.device)].sum(0).permute(0, 3, 1, 2)


def _how(weight: Tensor, stride: int) -> tuple:
    """torch's arguments: stride, padding, dilation, transposed, padding of the output, groups."""
    return [stride] * 2, [weight.shape[-1] // 2] * 2, [1, 1], False, [0, 0], 1

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
