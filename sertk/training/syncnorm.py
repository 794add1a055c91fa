"""Synchronised BatchNorm: statistics over the chunks of all processes, as if one process computed the whole batch.

torch's own SyncBatchNorm exists on GPUs only; this one takes any device and backend.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sertk.training.distributed import World


class _Normalise(torch.autograd.Function):
    """BatchNorm's function with statistics over all processes.

    Shape:
        - Input: x (batch, channels, …), weight (channels,), bias (channels,)
        - Output: normalised x, mean (channels,), variance (channels,), count (1,); the last three are float64
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, world: World
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(x - mean) / sqrt(variance + eps) * weight + bias."""
        variance, mean = torch.var_mean(x.float(), _axes(x), correction=0)
        mean, variance = mean.double(), variance.double()  # the squares below would lose float32 precision
        count = x.numel() // x.shape[1]
        first, second, total = world.sum(
            torch.cat([count * mean, count * (variance + mean**2), mean.new_full((1,), count)])
        ).split([len(mean), len(mean), 1])
        mean = first / total
        variance = second / total - mean**2
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean.float(), inverse.float(), total)
        ctx.world = world
        out = functional.batch_norm(x, mean.float(), variance.float(), weight, bias, False, 0.0, eps)
        ctx.mark_non_differentiable(mean, variance, total)
        return out, mean, variance, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias."""
        x, weight, mean, inverse, total = ctx.saved_tensors
        grad, centred = grad.float(), x.float() - _by_channel(mean, x)
        grad_bias = grad.sum(_axes(x))
        grad_weight = (grad * centred).sum(_axes(x)) * inverse
        # Mean and variance depend on the chunks of every process, so their gradients are summed here; those of weight and
        # bias are summed with all other parameters.
        shift, scale = (ctx.world.sum(torch.cat([grad_bias, grad_weight]).double()) / total).float().chunk(2)
        grad_x = grad - _by_channel(shift, x) - centred * _by_channel(inverse * scale, x)
        return (grad_x * _by_channel(weight * inverse, x)).to(x.dtype), grad_weight, grad_bias, None, None


class _Synchronised:
    """Mixin for torch's BatchNorms: in training mode the statistics are those of all processes."""

    world: World

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (batch, channels, …)."""
        if not self.training:
            return super().forward(x)
        out, mean, variance, total = _Normalise.apply(x, self.weight, self.bias, self.eps, self.world)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            unbiased = variance * total / (total - 1)  # as torch stores it
            self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        return out


class SyncBatchNorm1d(_Synchronised, nn.BatchNorm1d):
    """nn.BatchNorm1d over all processes."""


class SyncBatchNorm2d(_Synchronised, nn.BatchNorm2d):
    """nn.BatchNorm2d over all processes."""


KINDS = {nn.BatchNorm1d: SyncBatchNorm1d, nn.BatchNorm2d: SyncBatchNorm2d}


def synchronise(network: nn.Module, world: World) -> None:
    """Replace every BatchNorm of a network by a synchronised one; names of the weights stay the same."""
    for parent in list(network.modules()):
        for name, old in list(parent.named_children()):
            if type(old) in KINDS:
                new = KINDS[type(old)](old.num_features, old.eps, old.momentum, device=old.weight.device)
                new.load_state_dict(old.state_dict())
                new.world = world
                setattr(parent, name, new)


def _axes(x: Tensor) -> list[int]:
    """All axes but the channels."""
    return [0, *range(2, x.dim())]


def _by_channel(values: Tensor, x: Tensor) -> Tensor:
    """Reshape (channels,) to broadcast over `x` (batch, channels, …)."""
    return values.view(1, -1, *[1] * (x.dim() - 2))
