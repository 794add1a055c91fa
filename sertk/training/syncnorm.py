"""BatchNorm over the chunks of all processes: a batch shared between them is normalised as one process would do it.

torch's own SyncBatchNorm exists on GPUs only; this one takes any device and backend.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sertk.training.distributed import World


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias over all ranks' x; also mean, variance and count."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float, world: World):
        variance, mean = torch.var_mean(x.float(), _axes(x), correction=0)
        mean, variance = mean.double(), variance.double()  # so that the squares below lose nothing of float32
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
    def backward(ctx, grad: Tensor, *_):
        x, weight, mean, inverse, total = ctx.saved_tensors
        grad, centred = grad.float(), x.float() - _by_channel(mean, x)
        of_bias = grad.sum(_axes(x))
        of_weight = (grad * centred).sum(_axes(x)) * inverse
        # Every chunk of every rank moved mean and variance; weight and bias are summed with the other gradients.
        shift, scale = (ctx.world.sum(torch.cat([of_bias, of_weight]).double()) / total).float().chunk(2)
        of_x = grad - _by_channel(shift, x) - centred * _by_channel(inverse * scale, x)
        return (of_x * _by_channel(weight * inverse, x)).to(x.dtype), of_weight, of_bias, None, None


class _Synchronised:
    """Makes one of torch's BatchNorms look at all ranks while it trains."""

    world: World

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        out, mean, variance, total = _Normalise.apply(x, self.weight, self.bias, self.eps, self.world)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            unbiased = variance * total / (total - 1)  # torch keeps it so
            self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        return out


class SyncBatchNorm1d(_Synchronised, nn.BatchNorm1d):
    pass


class SyncBatchNorm2d(_Synchronised, nn.BatchNorm2d):
    pass


KINDS = {nn.BatchNorm1d: SyncBatchNorm1d, nn.BatchNorm2d: SyncBatchNorm2d}


def synchronise(network: nn.Module, world: World) -> None:
    """Put a synchronised BatchNorm in the place of every one in `network`; names of the weights stay."""
    for parent in list(network.modules()):
        for name, old in list(parent.named_children()):
            if type(old) in KINDS:
                new = KINDS[type(old)](old.num_features, old.eps, old.momentum, device=old.weight.device)
                new.load_state_dict(old.state_dict())
                new.world = world
                setattr(parent, name, new)


def _axes(x: Tensor) -> list[int]:
    return [0, *range(2, x.dim())]


def _by_channel(values: Tensor, x: Tensor) -> Tensor:
    """Values, one a channel, to be broadcast over `x` (batch, channels, …)."""
    return values.view(1, -1, *[1] * (x.dim() - 2))
