"""The stem by Triton kernels: convolution of the features, BatchNorm, activation and mask, without storing its maps."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sertk.models.fusednormact import (
    Plan,
    empty_statistics,
    gradient_of_slope,
    spread,
    sum_of_spans,
    whole_statistics,
)
from sertk.models.kernels import given, in_layout, load_kernels

# Cells of a tile, its channels at most (the gradients of more do not fit into registers), and spans of tiles for each
# multiprocessor of a GPU.
TILE, TILE_CHANNELS, SPANS = 4096, 32, 6


class FusedStem(torch.autograd.Function):
    """act(norm(conv(x))), 0 beyond a mask, of a 3 × 3 convolution of the features; the same input gives the same bits."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, stem: Tensor, weight: Tensor, bias: Tensor, slope: Tensor | None, mask: Tensor | None,
        norm: nn.BatchNorm2d, slopes: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Values, twice; updates the running statistics of `norm`.

        Args:
            ctx: autograd's.
            x: features, (batch, 1, bins, frames); they get no gradient.
            stem: weights of the convolution, in the features' format.
            weight: of norm.
            bias: of norm.
            slope: of the activation, if it has one.
            mask: (batch, 1, 1, frames), boolean.
            norm: the BatchNorm.
            slopes: number of the activation (SLOPES).
        """
        kernels, shape = load_kernels("stem_kernels"), (len(x), len(stem), *x.shape[2:])
        ctx.plan = plan = Plan(shape, TILE, TILE_CHANNELS)
        spans, tiles = plan.spans(SPANS, x.device)
        partial = empty_statistics(x, spans, plan.channels)
        kernels.stem_statistics[spans, plan.groups](x, stem, partial, *plan.size, tiles, **plan.tile)
        statistics, mask = whole_statistics(partial, norm, plan), spread(mask, x)
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        ctx.constants = {"MASKED": mask is not None, "SLOPES": slopes} | plan.tile
        kernels.stem_forward[plan.tiles, plan.groups](
            x, stem, given(mask, x), *statistics, weight, bias, given(slope, x), out, *plan.size, **ctx.constants
        )
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, stem, weight, bias, slope, mask, statistics)
        return out, out.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of stem, weight, bias and slope."""
        x, stem, weight, bias, slope, mask, statistics = ctx.saved_tensors
        grads = [in_layout(grad) for grad in grads if grad is not None]
        if not grads:
            return (None,) * 8
        plan, before_slopes = ctx.plan, 16 * len(stem) + 256
        spans, tiles = plan.spans(SPANS, x.device)
        sums = weight.new_empty(spans, before_slopes + plan.slopes(slope))
        load_kernels("stem_kernels").stem_gradients[spans, plan.groups](
            grads[0], grads[-1], x, stem, given(mask, x), *statistics, weight, bias, given(slope, x), sums, *plan.size, tiles,
            sums.shape[1], TWO=len(grads) == 2, **ctx.constants,
        )  # fmt: skip
        totals = sum_of_spans(sums)
        of_layer = _of_layer(totals, stem, weight, statistics, plan.rows)
        return None, *of_layer, gradient_of_slope(totals[before_slopes:], slope), None, None, None


def _of_layer(
    totals: Tensor, stem: Tensor, weight: Tensor, statistics: Tensor, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the convolution's weights, and of BatchNorm's weight and bias, from the sums of stem_gradients."""
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
