"""BatchNorm, shortcut, activation and mask of a map: as torch's operations, or in one pass over the map.

torch reads and writes the whole map for each of the four, in both directions. In training on a GPU that takes most of a
step's time; the fused form (sertk.models.normact_kernels, in Triton) reads it twice and writes it once.
"""

import importlib
import os
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sertk.models.activation import ChannelPReLU, LayerPReLU

# Cells of a tile; spans of rows whose sums are taken apart, enough to fill a GPU's multiprocessors.
TILE, SPANS = 2048, 512
# Channels of a tile at most, and of a program that sums over the spans.
TILE_CHANNELS, SUM_CHANNELS = 128, 8
# Numbers of slopes, as the kernels take them.
SLOPES = {nn.ReLU: 0, LayerPReLU: 1, ChannelPReLU: 2}


def norm_act(
    x: Tensor, norm: nn.Module, act: nn.Module, shortcut: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """act(norm(x) + shortcut), 0 beyond the mask.

    Args:
        x: maps, the output of a convolution.
        norm: its BatchNorm; its attribute `fused` chooses the fused form (use_fused).
        act: its activation.
        shortcut: maps that are added before the activation.
        mask: (batch, 1, 1, frames), boolean.

    Shape:
        - Input: (batch, channels, bins, frames), the shortcut too
        - Output: the same
    """
    if getattr(norm, "fused", False) and norm.training and _fits(x):
        slope = getattr(act, "weight", None)
        return FusedNormAct.apply(x, norm.weight, norm.bias, slope, shortcut, mask, norm, SLOPES[type(act)])
    y = norm(x)
    if shortcut is not None:
        y += shortcut
    y = act(y)
    return y if mask is None else y * mask


def use_fused(network: nn.Module, fused: bool) -> None:
    """Choose the form of every BatchNorm over maps in training; weights and their names stay as they are."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:  # a subclass has other statistics
            module.fused = fused


def _fits(x: Tensor) -> bool:
    """True if the kernels take such maps: others, and the single cell that torch refuses, are left to torch."""
    in_layout = x.is_contiguous(memory_format=torch.channels_last)
    return in_layout and x.dtype in (torch.float32, torch.bfloat16) and x.numel() > x.shape[1]


class FusedNormAct(torch.autograd.Function):
    """norm_act with the batch's statistics, by Triton kernels; the same input gives the same bits.

    All numbers between reading and writing a map are float32; torch's operations round to the map's format after each.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor | None, shortcut: Tensor | None,
        mask: Tensor | None, norm: nn.BatchNorm2d, slopes: int,
    ) -> Tensor:  # fmt: skip
        """Values; updates the running statistics of `norm`."""
        kernels, plan = _kernels(), _Plan(x)
        partial, statistics = (
            x.new_empty(2, plan.spans, plan.channels, dtype=torch.float32),
            weight.new_empty(2, len(weight)),
        )
        size = (plan.rows, plan.channels)
        kernels.partial_statistics[plan.grid_of_spans](x, *partial, *size, plan.tiles, **plan.tile)
        kernels.whole_statistics[plan.grid_of_sums(1)](
            *partial, *statistics, norm.running_mean, norm.running_var, norm.num_batches_tracked, *size, plan.spans,
            plan.span_rows, norm.eps, norm.momentum, **plan.sums,
        )  # fmt: skip
        if shortcut is not None:
            shortcut = _in_layout(shortcut)
        if mask is not None:
            mask = mask.expand(len(x), 1, 1, x.shape[3]).contiguous()
        out = torch.empty_like(x)
        ctx.given = {"SHORTCUT": shortcut is not None, "MASKED": mask is not None, "SLOPES": slopes}
        kernels.norm_act_forward[plan.grid_of_tiles](
            x, _or(shortcut, x), _or(mask, x), *statistics, weight, bias, _or(slope, x), out, *size, *plan.plane,
            **ctx.given, **plan.tile,
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, slope, shortcut, mask, statistics)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight, bias, slope and shortcut."""
        x, weight, bias, slope, shortcut, mask, statistics = ctx.saved_tensors
        kernels, plan, grad = _kernels(), _Plan(x), _in_layout(grad)
        grad_z = None if shortcut is None else torch.empty_like(shortcut)
        partial, totals = weight.new_empty(3, plan.spans, plan.channels), weight.new_empty(3, plan.channels)
        size = (plan.rows, plan.channels)
        layer = (_or(mask, x), *statistics, weight, bias, _or(slope, x))
        kernels.partial_gradients[plan.grid_of_spans](
            grad, x, _or(shortcut, x), *layer, _or(grad_z, x), partial, *size, *plan.plane, plan.tiles,
            **ctx.given, **plan.tile,
        )  # fmt: skip
        kernels.whole_gradients[plan.grid_of_sums(3)](partial, totals, plan.channels, plan.spans, **plan.sums)
        grad_x = torch.empty_like(x)
        kernels.norm_act_backward[plan.grid_of_tiles](
            grad, x, _or(grad_z, x), *layer, totals, grad_x, *size, *plan.plane, **ctx.given, **plan.tile
        )
        of_bias, of_weight, of_slope = totals
        if slope is not None:
            of_slope = of_slope if ctx.given["SLOPES"] == 2 else of_slope.sum().reshape(1)
        return grad_x, of_weight, of_bias, None if slope is None else of_slope, grad_z, None, None, None


class _Plan:
    """How the kernels divide a map: a matrix of a row for each cell and a column for each channel."""

    def __init__(self, x: Tensor) -> None:
        batch, self.channels, bins, frames = x.shape
        self.rows, self.plane = batch * bins * frames, (bins * frames, frames)
        width = min(_power_of_2(self.channels), TILE_CHANNELS)
        height = TILE // width
        self.tile = {"ROWS": height, "CHANNELS": width}
        tiles = _ratio_up(self.rows, height)
        self.tiles = _ratio_up(tiles, SPANS)  # of a span
        self.spans, self.span_rows = _ratio_up(tiles, self.tiles), self.tiles * height
        self.sums = {"SPANS": _power_of_2(SPANS), "CHANNELS": SUM_CHANNELS}
        groups = _ratio_up(self.channels, width)
        self.grid_of_tiles, self.grid_of_spans = (tiles, groups), (self.spans, groups)

    def grid_of_sums(self, kinds: int) -> tuple[int, int]:
        return kinds, _ratio_up(self.channels, SUM_CHANNELS)


def obstacle(device: torch.device) -> str | None:
    """Return why the fused form cannot be used on a device, None if it can: a small map is computed in both forms."""
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "the fused form needs a GPU"
    try:
        fused, plain = (_small_map(device, form) for form in (True, False))
    except Exception as error:  # a missing Triton, compiler or header, or an old GPU, each raises a class of its own
        return f"Triton does not work here: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    if all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(fused, plain, strict=True)):
        return None
    return "the kernels' results differ from torch's here"


def _small_map(device: torch.device, fused: bool) -> list[Tensor]:
    """Values and gradients of a map of 24 channels, with a shortcut."""
    random = torch.Generator().manual_seed(0)
    x, shortcut, grad = (
        _in_layout(torch.randn(3, 24, 5, 7, generator=random).to(device)).requires_grad_() for _ in range(3)
    )
    norm, act = nn.BatchNorm2d(24).to(device), LayerPReLU().to(device)
    use_fused(norm, fused)
    out = norm_act(x, norm, act, shortcut.clone())
    return [out, *torch.autograd.grad(out, (x, shortcut, *norm.parameters(), *act.parameters()), grad), *norm.buffers()]


def _kernels() -> ModuleType:
    """The kernels, imported at first use: Triton is missing where torch was built without it, and slow to import."""
    return importlib.import_module("sertk.models.normact_kernels")


def _in_layout(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    """A kernel's argument that it does not read, where there is none."""
    return other if tensor is None else tensor


def _ratio_up(a: int, b: int) -> int:
    return -(-a // b)


def _power_of_2(number: int) -> int:
    """The smallest power of two that is not smaller."""
    return 1 << (number - 1).bit_length()
