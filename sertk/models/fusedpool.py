"""Mean and deviation over frames in one pass over the maps, in training on a GPU: torch's operations take a dozen."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sertk.models.kernels import kernels_take, load_kernels, power_of_2, ratio_up

# Cells of a program, and frames that it takes at most.
CELLS, FRAMES = 4096, 1024


def takes(maps: Tensor) -> bool:
    """True if the kernels take such maps: others are left to torch."""
    return kernels_take(maps) and maps.shape[3] <= FRAMES


class FusedStats(torch.autograd.Function):
    """Mean and deviation over frames by Triton kernels; the same input gives the same bits.

    Shape: (batch, channels, bins, frames) -> (batch, 2 * channels * bins), float32, means first
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, factor: float, epsilon: float, least: float) -> Tensor:
        """Values.

        Args:
            ctx: autograd's.
            maps: channels last.
            factor: of the variance.
            epsilon: added to the variance before the square root.
            least: variance of which the root is taken at least; below it there is no gradient.
        """
        batch, channels, bins, frames = maps.shape
        out = maps.new_empty(batch, 2 * channels * bins, dtype=torch.float32)
        wide = power_of_2(frames)
        across = min(power_of_2(channels), max(1, CELLS // wide))
        ctx.given = (channels, bins, frames, factor, epsilon, least), {"FRAMES": wide, "CHANNELS": across}
        ctx.grid = (batch * bins, ratio_up(channels, across))
        ctx.save_for_backward(maps)
        numbers, constants = ctx.given
        load_kernels("pool_kernels").pool_forward[ctx.grid](maps, out, *numbers, **constants)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """Gradient of the maps."""
        (maps,) = ctx.saved_tensors
        grad_x = torch.empty_like(maps)
        numbers, constants = ctx.given
        load_kernels("pool_kernels").pool_backward[ctx.grid](grad.contiguous(), maps, grad_x, *numbers, **constants)
        return grad_x, None, None, None
