"""BatchNorm, shortcut, activation and mask by Triton kernels: how they divide a map, and their autograd function."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.kernels import given, in_layout, load_kernels, multiprocessors, power_of_2, ratio_up

# Cells of a tile; channels of one at most, and of a program that sums over spans.
TILE, TILE_CHANNELS, SUM_CHANNELS = 2048, 128, 8
# Spans of tiles whose sums are taken apart, for each multiprocessor of a GPU; tiles of a span that are read at once.
STATISTICS, GRADIENTS, STAGES = 4, 3, 3
# Numbers of slopes, as the kernels take them.
SLOPES = {nn.ReLU: 0, LayerPReLU: 1, ChannelPReLU: 2, nn.Identity: 3}


class FusedNormAct(torch.autograd.Function):
    """act(norm(x) + shortcut), 0 beyond a mask, with the batch's statistics; the same input gives the same bits.

    All numbers between reading and writing a map are float32; torch's operations round to the map's format after each.
    Maps of a shortcut's BatchNorm (norm2, weight2, bias2) are not stored: the kernels normalise its convolution's maps wherever
    they take them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor | None, shortcut: Tensor | None, weight2: Tensor | None,
        bias2: Tensor | None, mask: Tensor | None, partial: Tensor | None, norm: nn.BatchNorm2d, norm2: nn.BatchNorm2d | None,
        slopes: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Values, twice; updates the running statistics of `norm` and of the shortcut's norm2.

        Args:
            ctx: autograd's.
            x: maps, channels last.
            weight: of norm.
            bias: of norm.
            slope: of the activation, if it has one.
            shortcut: maps that are added before the activation.
            weight2: of norm2.
            bias2: of norm2.
            mask: (batch, 1, 1, frames), boolean.
            partial: partial_statistics of x, if its convolution took them.
            norm: BatchNorm of x.
            norm2: BatchNorm of the shortcut, or None.
            slopes: number of the activation (SLOPES).
        """
        plan = Plan(x.shape)
        statistics = whole_statistics(partial_statistics(x, plan) if partial is None else partial, norm, plan)
        if shortcut is not None:
            shortcut = in_layout(shortcut)
        layer2 = (x,) * 4
        if norm2 is not None:
            layer2 = (*whole_statistics(partial_statistics(shortcut, plan), norm2, plan), weight2, bias2)
        beside = (given(shortcut, x), *layer2)
        mask = spread(mask, x)
        out = torch.empty_like(x)
        ctx.constants = {"MASKED": mask is not None, "SLOPES": slopes}
        ctx.shortcut = (shortcut is not None) + (norm2 is not None)
        load_kernels("normact_kernels").norm_act_forward[plan.tiles, plan.groups](
            x, *beside, given(mask, x), *statistics, weight, bias, given(slope, x), out, *plan.size, SHORTCUT=ctx.shortcut,
            **ctx.constants, **plan.tile,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, bias, slope, mask, statistics, *beside)
        ctx.plan = plan
        return out, out.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight, bias, slope, shortcut, weight2 and bias2."""
        x, weight, bias, slope, mask, statistics, *beside = ctx.saved_tensors
        grads = [in_layout(grad) for grad in grads if grad is not None]
        if not grads:
            return (None,) * 12
        kernels, plan = load_kernels("normact_kernels"), ctx.plan
        grad_x, grad_shortcut = torch.empty_like(x), torch.empty_like(beside[0]) if ctx.shortcut else None
        layer = (given(mask, x), *statistics, weight, bias, given(slope, x))
        maps = (grads[0], grads[-1], x, *beside, *layer, given(grad_shortcut, x))
        constants = ctx.constants | plan.tile | {"TWO": len(grads) == 2, "SHORTCUT": ctx.shortcut}
        kinds = 3 if ctx.shortcut == 2 else 2  # of gradients of each channel beside the slopes': bias, weight, weight2
        spans, tiles = plan.spans(GRADIENTS, x.device)
        sums = weight.new_empty(spans, kinds * plan.channels + plan.slopes(slope))
        kernels.partial_gradients[spans, plan.groups](
            *maps, sums, *plan.size, tiles, sums.shape[1], **constants, STAGES=STAGES
        )
        totals = sum_of_spans(sums)
        kernels.norm_act_backward[plan.tiles, plan.groups](*maps, totals, grad_x, *plan.size, **constants)
        of_bias, of_weight, *of_weight2 = totals[: kinds * plan.channels].chunk(kinds)
        # Both biases get the same tensor: autograd copies it for one of them, as it would not copy a second view.
        of_layer2 = (*of_weight2, of_bias) if of_weight2 else (None, None)
        of_slope = gradient_of_slope(totals[kinds * plan.channels :], slope)
        return grad_x, of_weight, of_bias, of_slope, grad_shortcut, *of_layer2, *(None,) * 5


class Plan:
    """How the kernels divide a map: a matrix of a row for each cell and a column for each channel.

    Args:
        shape: (batch, channels, bins, frames).
        cells: of a tile; TILE if not given.
        widest: channels of a tile at most; TILE_CHANNELS if not given.
    """

    def __init__(self, shape: Sequence[int], cells: int | None = None, widest: int | None = None) -> None:
        batch, self.channels, bins, frames = shape
        self.rows = batch * bins * frames
        self.size = (self.rows, self.channels, bins * frames, frames)
        width = min(power_of_2(self.channels), widest or TILE_CHANNELS)
        height = (cells or TILE) // width
        self.tile = {"ROWS": height, "CHANNELS": width}
        self.tiles, self.groups = ratio_up(self.rows, height), ratio_up(self.channels, width)

    def spans(self, programs: int, device: torch.device) -> tuple[int, int]:
        """Spans of tiles, with as many programs for each multiprocessor of a GPU, and the tiles of each."""
        spans = min(self.tiles, max(1, programs * multiprocessors(device) // self.groups))
        return spans, ratio_up(self.tiles, spans)

    def slopes(self, slope: Tensor | None) -> int:
        """Sums of the slopes' gradients in a span: of each channel, or of each group if the channels have one slope."""
        return self.groups if slope is not None and len(slope) == 1 else self.channels


def partial_statistics(x: Tensor, plan: Plan) -> Tensor:
    """Means, squared deviations and number of rows of parts of a map, (parts, 2 * channels + 1), float32."""
    spans, tiles = plan.spans(STATISTICS, x.device)
    partial = empty_statistics(x, spans, plan.channels)
    load_kernels("normact_kernels").partial_statistics[spans, plan.groups](
        x, partial, plan.rows, plan.channels, tiles, **plan.tile, STAGES=STAGES
    )
    return partial


def empty_statistics(x: Tensor, parts: int, channels: int) -> Tensor:
    """Room for what partial_statistics returns, on the device of x."""
    return x.new_empty(parts, 2 * channels + 1, dtype=torch.float32)


def whole_statistics(partial: Tensor, norm: nn.BatchNorm2d, plan: Plan) -> Tensor:
    """Mean and 1 / deviation of a map from its parts', (2, channels); updates the running statistics of `norm`."""
    statistics = partial.new_empty(2, plan.channels)
    load_kernels("normact_kernels").whole_statistics[1, ratio_up(plan.channels, SUM_CHANNELS)](
        partial, *statistics, norm.running_mean, norm.running_var, norm.num_batches_tracked, plan.rows, plan.channels,
        len(partial), norm.eps, norm.momentum, SPANS=power_of_2(len(partial)), CHANNELS=SUM_CHANNELS,
    )  # fmt: skip
    return statistics


def sum_of_spans(sums: Tensor) -> Tensor:
    """Sums over the spans, in their order. Shape: (spans, columns) -> (columns,)."""
    spans, columns = sums.shape
    totals = sums.new_empty(columns)
    load_kernels("normact_kernels").sum_of_spans[(ratio_up(columns, SUM_CHANNELS),)](
        sums, totals, columns, spans, SPANS=power_of_2(spans), COLUMNS=SUM_CHANNELS
    )
    return totals


def gradient_of_slope(totals: Tensor, slope: Tensor | None) -> Tensor | None:
    """Gradient of the slopes from the sums of each channel, or of each group of channels if they have one slope."""
    if slope is None or len(totals) == len(slope):
        return None if slope is None else totals
    return totals.sum(0, keepdim=True)


def spread(mask: Tensor | None, x: Tensor) -> Tensor | None:
    """A mask with a number for each frame of each chunk in memory."""
    return None if mask is None else mask.expand(len(x), 1, 1, x.shape[3]).contiguous()
