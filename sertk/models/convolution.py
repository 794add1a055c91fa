"""Convolutions in the fused form of a training step: cuDNN's, or faster ways where it is slow, with BatchNorm's statistics.

A network's first stage has 32 channels, with which cuDNN keeps a GPU's matrix units a third busy, in the gradient of the weights
a sixth; one strided 1 × 1 convolution takes longer than a copy of the cells that it needs and their product.
benchmarks/README.md has the times, of an H200.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from sertk.models.beside import Beside, in_use
from sertk.models.fusednormact import empty_statistics
from sertk.models.kernels import given, in_layout, kernels_take, load_kernels, multiprocessors, ratio_up

# Channels of the convolution with a kernel of its own; channels of the input of that 1 × 1 convolution: with others, a copy of
# the cells takes longer.
THIN, STRIDED = 32, 64
# Columns of a tile; programs for each multiprocessor of a GPU, which hold so many registers; tiles that are read at once.
COLUMNS, PROGRAMS, REGISTERS, STAGES = 64, 4, 128, 3

convolution_backward = torch.ops.aten.convolution_backward


def convolve(conv: nn.Conv2d, x: Tensor, near: Tensor) -> tuple[Tensor, Tensor | None]:
    """conv(x), and its gradients, by a faster way if there is one; partial statistics of conv(x), if that way takes them.

    Args:
        conv: a convolution without bias, 3 × 3 with padding 1 or 1 × 1 with padding 0.
        x: its input.
        near: numbers about the means of the output's channels, for the statistics.

    Shape:
        - Input: (batch, channels_in, bins, frames)
        - Output: (batch, channels, bins / stride, frames / stride); (parts, 2 * channels + 1), see partial_statistics
    """
    if kernels_take(x) and x.dtype == conv.weight.dtype == torch.bfloat16:
        return Convolution.apply(x, conv.weight, conv.stride[0], near, in_use())
    return conv(x), None


class Convolution(torch.autograd.Function):
    """A convolution of bf16 maps that lie channels last."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, near: Tensor, beside: Beside | None
    ) -> tuple[Tensor, Tensor | None]:
        """Output, and its partial statistics if they were taken."""
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.beside = stride, beside
        if _is_thin(weight, stride):
            out, partial = _thin(x, weight, near)
            ctx.mark_non_differentiable(partial)
            return out, partial
        if tuple(weight.shape[1:]) == (STRIDED, 1, 1) and stride > 1:
            return _of_cells(x, weight, stride), None
        return conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2), None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight."""
        x, weight = ctx.saved_tensors
        grad, of_x, of_weight = in_layout(grad), None, None
        if ctx.needs_input_grad[0]:
            of_x = _of_input(grad, x, weight, ctx.stride)
        if ctx.needs_input_grad[1]:
            compute = functools.partial(_of_weight, stride=ctx.stride)
            of_weight = compute(grad, x, weight) if ctx.beside is None else ctx.beside.compute(compute, grad, x, weight)
        return of_x, of_weight, None, None, None


def _is_thin(weight: Tensor, stride: int) -> bool:
    return tuple(weight.shape) == (THIN, THIN, 3, 3) and stride == 1


def _thin(x: Tensor, weight: Tensor, near: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """A thin convolution and its partial statistics; without `near` the gradient of its input from that of its output, x."""
    batch, _, bins, frames = x.shape
    bins_of_tiles = ratio_up(batch * frames, COLUMNS) * bins
    steps = ratio_up(bins_of_tiles, PROGRAMS * multiprocessors(x.device))
    programs, out = ratio_up(bins_of_tiles, steps), torch.empty_like(x)
    sums = None if near is None else empty_statistics(x, programs, THIN)
    load_kernels("convolution_kernels").thin_convolution[(programs,)](
        x, in_layout(weight), out, given(near, x), given(sums, x), batch * frames, bins, frames, steps,
        TURNED=near is None, SUMS=near is not None, COLUMNS=COLUMNS, STAGES=STAGES, maxnreg=REGISTERS,
    )  # fmt: skip
    return out, sums


def _of_cells(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A strided 1 × 1 convolution, of a copy of the cells that it takes."""
    return conv2d(in_layout(x[:, :, ::stride, ::stride]), weight)


def _of_input(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of a convolution's input, of which only the size is taken."""
    if _is_thin(weight, stride):
        return _thin(grad, weight, None)[0]
    return convolution_backward(grad, x, weight, None, *_how(weight, stride), [True, False, False])[0]


def _of_weight(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of a convolution's weights, of which only the size is taken."""
    if not _is_thin(weight, stride) or x.shape[3] % 2:
        return convolution_backward(grad, x, weight, None, *_how(weight, stride), [False, True, False])[1]
    # In memory two frames of C channels are one of 2 C. The gradient of a convolution between such pairs has twice the products,
    # half of them of frames that the 3 × 3 cells do not join, on matrix units that are more than three times as busy.
    pairs = in_layout(weight.new_empty(2 * THIN, 2 * THIN, 3, 3))
    of_pairs = convolution_backward(
        _in_pairs(grad), _in_pairs(x), pairs, None, *_how(weight, stride), [False, True, False]
    )[1]
    return of_pairs[_joined(THIN, weight.device)].sum(0).permute(0, 3, 1, 2)


def _how(weight: Tensor, stride: int) -> tuple:
    """Arguments of torch's convolutions: stride, padding, dilation, transposed, padding of the output, groups."""
    return [stride] * 2, [weight.shape[-1] // 2] * 2, [1, 1], False, [0, 0], 1


def _in_pairs(maps: Tensor) -> Tensor:
    """The same memory as maps of half the frames: (batch, 2 * channels, bins, frames / 2), the earlier frame's channels first."""
    batch, channels, bins, frames = maps.shape
    return maps.permute(0, 2, 3, 1).view(batch, bins, frames // 2, 2 * channels).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=8)
def _joined(channels: int, device: torch.device) -> tuple[Tensor, ...]:
    """Where the gradient of pairs has that of a weight: indices (2, channels, 3, 3, channels), as (two, out, row, column, in).

    Frame 2 p + i is joined with frame 2 (p + d) + j, 2 d + j - i later, for two of the four (i, j).
    """
    places = {-1: ((1, 0, 0), (0, 1, -1)), 0: ((0, 0, 0), (1, 1, 0)), 1: ((0, 1, 0), (1, 0, 1))}  # (i, j, d)
    two = torch.tensor([[places[later][n] for later in (-1, 0, 1)] for n in range(2)])
    i, j, d = (field[:, None, None, :, None] for field in two.unbind(-1))
    of = torch.arange(channels)
    rows = torch.arange(3)[None, None, :, None, None]
    indices = i * channels + of[None, :, None, None, None], j * channels + of, rows, d + 1
    return tuple(index.to(device) for index in indices)  # there when they are returned, for the streams of all folds
