"""BatchNorm, shortcut, activation and mask of a map: as torch's operations, or in one pass over the map.

torch reads and writes the whole map for each of the four, in both directions. In training on a GPU that takes most of a
step's time; the fused form (sertk.models.normact_kernels, in Triton) reads it twice and writes it once.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.convolution import convolve
from sertk.models.kernels import kernels_take, load_kernels, power_of_2
from sertk.models.pooling import StatsPool

# Cells of a tile; spans of tiles whose sums are taken apart, for each multiprocessor of a GPU; tiles of a span that are under way.
TILE, STATISTICS, GRADIENTS, STAGES = 2048, 4, 3, 3
# Channels of a tile at most, and of a program that sums over the spans.
TILE_CHANNELS, SUM_CHANNELS = 128, 8
# Numbers of slopes, as the kernels take them.
SLOPES = {nn.ReLU: 0, LayerPReLU: 1, ChannelPReLU: 2, nn.Identity: 3}
IDENTITY = nn.Identity()


def conv_norm_act(
    x: Tensor,
    conv: nn.Conv2d,
    norm: nn.Module,
    act: nn.Module,
    shortcut: Tensor | None = None,
    mask: Tensor | None = None,
    projection: Sequence[nn.Module] = (),
) -> tuple[Tensor, Tensor]:
    """act(norm(conv(x)) + projection(shortcut)), 0 beyond the mask.

    It is returned twice. If two layers take it, each should take one: the gradients of both are then added where they are
    read, and not before.

    Args:
        x: maps, or the features (of one channel).
        conv: a convolution.
        norm: its BatchNorm; its attribute `fused` chooses the fused form (use_fused).
        act: its activation.
        shortcut: maps that are added before the activation.
        mask: (batch, 1, 1, frames), boolean.
        projection: a convolution and its BatchNorm, which the shortcut passes before it is added; or none.

    Shape:
        - Input: (batch, channels_in, bins_in, frames_in)
        - Output: (batch, channels, bins, frames), twice; the shortcut too, after its projection
    """
    if _is_fused(norm, act) and shortcut is None and _is_stem(conv, x):
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        return _fused(x.to(dtype).contiguous(), conv.weight.to(dtype), norm, act, None, mask)
    shortcut_norm = None
    if projection:
        shortcut_conv, shortcut_norm = projection
        shortcut = _convolved(shortcut, shortcut_conv, shortcut_norm, IDENTITY)
    return norm_act(_convolved(x, conv, norm, act), norm, act, shortcut, mask, shortcut_norm)


def norm_act(
    x: Tensor,
    norm: nn.Module,
    act: nn.Module,
    shortcut: Tensor | None = None,
    mask: Tensor | None = None,
    shortcut_norm: nn.Module | None = None,
) -> tuple[Tensor, Tensor]:
    """conv_norm_act of maps that the convolutions have computed. Shape: (batch, channels, bins, frames), all of them."""
    # A single cell is left to torch, which refuses it.
    fused = _is_fused(norm, act) and kernels_take(x) and x.numel() > x.shape[1]
    if shortcut_norm is not None and not (fused and _is_fused(shortcut_norm, IDENTITY)):
        shortcut, shortcut_norm = norm_act(shortcut, shortcut_norm, IDENTITY)[0], None
    if fused:
        return _fused(x, None, norm, act, shortcut, mask, shortcut_norm)
    y = norm(x)
    if shortcut is not None:
        y += shortcut
    y = act(y)
    y = y if mask is None else y * mask
    return y, y


def use_fused(network: nn.Module, fused: bool) -> None:
    """Choose the form of BatchNorm over maps, and of pooling, in training; weights and their names stay as they are."""
    for module in network.modules():
        if type(module) in (nn.BatchNorm2d, StatsPool):  # a subclass has other statistics
            module.fused = fused


def _fused(
    x: Tensor, stem: Tensor | None, norm: nn.BatchNorm2d, act: nn.Module, shortcut: Tensor | None, mask: Tensor | None,
    norm2: nn.BatchNorm2d | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    slope, weight2, bias2 = getattr(act, "weight", None), getattr(norm2, "weight", None), getattr(norm2, "bias", None)
    tensors = (x, stem, norm.weight, norm.bias, slope, shortcut, weight2, bias2, mask)
    return FusedNormAct.apply(*tensors, norm, norm2, SLOPES[type(act)])


def _convolved(x: Tensor, conv: nn.Conv2d, norm: nn.Module, act: nn.Module) -> Tensor:
    return convolve(conv, x) if _is_fused(norm, act) else conv(x)


def _is_stem(conv: nn.Conv2d, x: Tensor) -> bool:
    """True if the kernels compute this convolution: 3 × 3 of the features, which get no gradient."""
    of_features = conv.in_channels == 1 and conv.kernel_size == (3, 3) and conv.stride == (1, 1)
    return of_features and conv.out_channels >= 16 and not x.requires_grad and x.numel() > 1


def _is_fused(norm: nn.Module, act: nn.Module) -> bool:
    """True where the fused form is chosen, by batch statistics and an activation that it has."""
    return getattr(norm, "fused", False) and norm.training and type(act) in SLOPES


class FusedNormAct(torch.autograd.Function):
    """norm_act with the batch's statistics, by Triton kernels; the same input gives the same bits.

    All numbers between reading and writing a map are float32; torch's operations round to the map's format after each.
    The maps of the stem are not stored: the kernels compute them from the features wherever they take them. Nor are those of a
    shortcut's BatchNorm (norm2, weight2, bias2): the kernels normalise its convolution's maps wherever they take them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, stem: Tensor | None, weight: Tensor, bias: Tensor, slope: Tensor | None, shortcut: Tensor | None,
        weight2: Tensor | None, bias2: Tensor | None, mask: Tensor | None, norm: nn.BatchNorm2d, norm2: nn.BatchNorm2d | None,
        slopes: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Values, twice; updates the running statistics of `norm` and of the shortcut's norm2."""
        plan = _Plan(x.shape if stem is None else (len(x), len(stem), *x.shape[2:]))
        statistics = _statistics(x, stem, norm, plan)
        if shortcut is not None:
            shortcut = _in_layout(shortcut)
        layer2 = (x,) * 4 if norm2 is None else (*_statistics(shortcut, None, norm2, plan), weight2, bias2)
        beside = (_or(shortcut, x), *layer2)
        if mask is not None:
            mask = mask.expand(len(x), 1, 1, x.shape[3]).contiguous()
        out = torch.empty(plan.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        ctx.given = {"MASKED": mask is not None, "SLOPES": slopes}
        ctx.shortcut = (shortcut is not None) + (norm2 is not None)
        load_kernels("normact_kernels").norm_act_forward[plan.tiles, plan.groups](
            x, _or(stem, x), *beside, _or(mask, x), *statistics, weight, bias, _or(slope, x), out, *plan.size,
            STEM=stem is not None, SHORTCUT=ctx.shortcut, **ctx.given, **plan.tile,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, stem, weight, bias, slope, mask, statistics, *beside)
        ctx.plan = plan
        return out, out.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of x, stem, weight, bias, slope, shortcut, weight2 and bias2."""
        x, stem, weight, bias, slope, mask, statistics, *beside = ctx.saved_tensors
        grads = [_in_layout(grad) for grad in grads if grad is not None]
        if not grads:
            return (None,) * 12
        kernels, plan = load_kernels("normact_kernels"), ctx.plan
        spans, tiles = plan.spans(GRADIENTS, x.device)
        layer = (_or(mask, x), *statistics, weight, bias, _or(slope, x))
        given = ctx.given | {"TWO": len(grads) == 2} | plan.tile
        # One slope for all channels: a sum for each group.
        slopes = plan.groups if slope is not None and len(slope) == 1 else plan.channels
        kinds = 3 if ctx.shortcut == 2 else 2  # beside the slopes': bias, weight, weight2
        sums = weight.new_empty(spans, (kinds * plan.channels if stem is None else 16 * plan.channels + 256) + slopes)
        totals = weight.new_empty(sums.shape[1])
        if stem is None:
            grad_shortcut = torch.empty_like(beside[0]) if ctx.shortcut else None
            kernels.partial_gradients[spans, plan.groups](
                grads[0], grads[-1], x, *beside, *layer, _or(grad_shortcut, x), sums, *plan.size, tiles, len(totals),
                SHORTCUT=ctx.shortcut, **given, STAGES=STAGES,
            )  # fmt: skip
        else:
            kernels.stem_gradients[spans, plan.groups](
                grads[0], grads[-1], x, stem, *layer, sums, *plan.size, tiles, len(totals), **given
            )
        kernels.sum_of_spans[(_ratio_up(len(totals), SUM_CHANNELS),)](
            sums, totals, len(totals), spans, SPANS=power_of_2(spans), COLUMNS=SUM_CHANNELS
        )
        of_slope = None
        if slope is not None:
            of_slope = totals[-slopes:] if slopes == len(slope) else totals[-slopes:].sum(0, keepdim=True)
        if stem is not None:
            of_stem = _of_stem(totals, stem, weight, statistics, plan.rows)
            return None, *of_stem, of_slope, *(None,) * 7
        grad_x = torch.empty_like(x)
        kernels.norm_act_backward[plan.tiles, plan.groups](
            grads[0], grads[-1], x, *beside, *layer, _or(grad_shortcut, x), totals, grad_x, *plan.size, SHORTCUT=ctx.shortcut,
            **given,
        )  # fmt: skip
        of_bias, of_weight, *of_weight2 = totals[: kinds * plan.channels].chunk(kinds)
        # Both biases get the same tensor: autograd copies it for one of them, as it would not copy a second view.
        of_layer2 = (*of_weight2, of_bias) if of_weight2 else (None, None)
        return grad_x, None, of_weight, of_bias, of_slope, grad_shortcut, *of_layer2, *(None,) * 4


def _statistics(x: Tensor, stem: Tensor | None, norm: nn.BatchNorm2d, plan: "_Plan") -> Tensor:
    """Mean and 1 / deviation of maps, (2, channels); updates the running statistics of `norm`."""
    kernels, (spans, tiles) = load_kernels("normact_kernels"), plan.spans(STATISTICS, x.device)
    partial = x.new_empty(2, spans, plan.channels, dtype=torch.float32)
    statistics = partial.new_empty(2, plan.channels)
    kernels.partial_statistics[spans, plan.groups](
        x, _or(stem, x), *partial, *plan.size, tiles, STEM=stem is not None, STAGES=STAGES if stem is None else 1, **plan.tile,
    )  # fmt: skip
    kernels.whole_statistics[1, _ratio_up(plan.channels, SUM_CHANNELS)](
        *partial, *statistics, norm.running_mean, norm.running_var, norm.num_batches_tracked, plan.rows, plan.channels, spans,
        plan.tile["ROWS"], norm.eps, norm.momentum, SPANS=power_of_2(spans), CHANNELS=SUM_CHANNELS,
    )  # fmt: skip
    return statistics


def _of_stem(
    totals: Tensor, stem: Tensor, weight: Tensor, statistics: Tensor, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the stem's weights, and of its BatchNorm's weight and bias, from the sums of stem_gradients."""
    of_cells, squares = totals[: 16 * len(stem)].view(16, -1), totals[16 * len(stem) :][:256].view(16, 16)
    of_cells, of_bias = of_cells[:9].T, of_cells[9]
    cells, squares = squares[9, :9], squares[:9, :9]
    filters, (mean, inverse) = stem.flatten(1).float(), statistics
    of_weight = inverse * ((filters * of_cells).sum(1) - mean * of_bias)
    # Sums of the maps less their mean, times the cells: the batch's statistics depend on the maps too (norm_act_backward).
    of_apart = filters @ squares - mean[:, None] * cells
    shift, tilt = of_bias[:, None] / rows, (of_weight * inverse)[:, None] / rows
    of_stem = (weight * inverse)[:, None] * (of_cells - shift * cells - tilt * of_apart)
    return of_stem.reshape(stem.shape).to(stem.dtype), of_weight, of_bias


class _Plan:
    """How the kernels divide a map: a matrix of a row for each cell and a column for each channel.

    Args:
        shape: (batch, channels, bins, frames).
    """

    def __init__(self, shape: Sequence[int]) -> None:
        batch, self.channels, bins, frames = self.shape = shape
        self.rows = batch * bins * frames
        self.size = (self.rows, self.channels, bins * frames, frames)
        width = min(power_of_2(self.channels), TILE_CHANNELS)
        self.tile = {"ROWS": TILE // width, "CHANNELS": width}
        self.tiles, self.groups = _ratio_up(self.rows, TILE // width), _ratio_up(self.channels, width)

    def spans(self, programs: int, device: torch.device) -> tuple[int, int]:
        """Spans of tiles, with as many programs for each multiprocessor of a GPU, and the tiles of each."""
        spans = min(self.tiles, max(1, programs * _multiprocessors(device) // self.groups))
        return spans, _ratio_up(self.tiles, spans)


@lru_cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def obstacle(device: torch.device) -> str | None:
    """Return why the fused form cannot be used on a device, None if it can: a small network is computed in both."""
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "the fused form needs a GPU"
    try:
        fused, plain = (_small_network(device, form) for form in (True, False))
    except Exception as error:  # a missing Triton, compiler or header, or an old GPU, each raises a class of its own
        return f"Triton does not work here: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    if all(torch.allclose(a, b, rtol=1e-2, atol=1e-2) for a, b in zip(fused, plain, strict=True)):
        return None
    return "the kernels' results differ from torch's here"


def _small_network(device: torch.device, fused: bool) -> list[Tensor]:
    """Pooled maps of a stem and two layers with shortcuts, the gradients of their weights, and what BatchNorm keeps."""
    random = torch.Generator().manual_seed(0)
    conv, act, pool = nn.Conv2d(1, 24, 3, padding=1, bias=False), LayerPReLU(), StatsPool()
    conv.weight.data = torch.randn(conv.weight.shape, generator=random)
    network = nn.ModuleList([conv, *(nn.BatchNorm2d(24) for _ in range(4)), act, pool]).to(device)
    use_fused(network, fused)
    x, around = conv_norm_act(torch.randn(3, 1, 5, 7, generator=random).to(device), conv, network[1], act)
    x, around = norm_act(_in_layout(x), network[2], act, around)
    x, _ = norm_act(x, network[3], act, around, shortcut_norm=network[4])
    pooled = pool(x)
    gradients = torch.autograd.grad(pooled.square().sum(), list(network.parameters()))
    return [pooled.detach(), *gradients, *network.buffers()]


def _in_layout(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    """A kernel's argument that it does not read, where there is none."""
    return other if tensor is None else tensor


def _ratio_up(a: int, b: int) -> int:
    return -(-a // b)
