"""Pooling over frames: segments of any length to vectors of one size."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sertk.models.fusedpool import FusedStats, takes
from sertk.models.spec import POOLING_EPSILON, NetworkSpec, after_strides

# Under the root where there is no epsilon: the gradient of a constant channel is 0 then, and not NaN.
TINY = 1e-20
# Units of the layer that weighs frames (Okabe et al. 2018 have 64 for 1500 channels, ECAPA-TDNN 128).
ATTENTION_DIM = 128


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Ones where a frame belongs to its segment, zeros where it is padding.

    Shape:
        - Input: (batch,) in frames
        - Output: (batch, 1, 1, frames), boolean
    """
    return (torch.arange(frames, device=lengths.device) < lengths[:, None])[:, None, None, :]


class Moments:
    """Mean and variance over frames that come in pieces, in float64 (Chan, Golub and LeVeque 1979: pairwise merging).

    Args:
        weigh: gives the weights of a piece's frames, (batch, 1, 1, frames); None: all are equal.

    Example:
        >>> moments = Moments()
        >>> for piece in (torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[8.0]]]])):
        ...     moments.add(piece)
        >>> moments.frames, moments.mean.item(), moments.variance.item()
        (3, 4.0, 8.666666666666666)
    """

    def __init__(self, weigh: Callable[[Tensor], Tensor] | None = None) -> None:
        self.weigh = weigh
        self.frames: int | Tensor = 0  # or the sum of their weights
        self.mean = self._squares = torch.zeros(())

    def add(self, maps: Tensor) -> None:
        """Add the next frames. Shape: (batch, channels, bins, frames)."""
        weights = self.weigh(maps).double() if self.weigh else None
        maps, frames = maps.double(), maps.shape[-1]
        if weights is None:
            mean = maps.mean(dim=-1)
            squares = (maps - mean[..., None]).square().sum(dim=-1)
        else:
            frames = weights.sum(dim=-1)
            mean = (weights * maps).sum(dim=-1) / frames
            squares = (weights * (maps - mean[..., None]).square()).sum(dim=-1)
        if isinstance(self.frames, int) and not self.frames:
            self.frames, self.mean, self._squares = frames, mean, squares
            return
        total, apart = self.frames + frames, mean - self.mean
        self.mean = self.mean + apart * (frames / total)
        self._squares = self._squares + squares + apart.square() * (self.frames * frames / total)
        self.frames = total

    @property
    def variance(self) -> Tensor:
        """Population variance."""
        return self._squares / self.frames


class MeanPool(nn.Module):
    """Mean over frames.

    Shape:
        - Input: (batch, channels, bins, frames), lengths (batch,) in frames or None where all are full
        - Output: (batch, channels * bins)
    """

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pool over the frames of each segment."""
        return _mean(maps.float(), lengths).flatten(1)

    def moments(self) -> Moments:
        """Collects the frames of a segment that comes in pieces, for `of`."""
        return Moments()

    def of(self, moments: Moments) -> Tensor:
        """`forward` over all frames that were added to `moments`."""
        return moments.mean.float().flatten(1)


class StatsPool(nn.Module):
    """Mean and standard deviation over frames, side by side (Snyder et al. 2018).

    Of a single frame, which is what three strides leave of eight, the variance is 0, the unbiased one too.

    Args:
        unbiased: divide by one less than the frames, and not by the frames (the population's variance).
        epsilon: added to the variance before the square root.

    Shape:
        - Input: (batch, channels, bins, frames), lengths (batch,) in frames or None where all are full
        - Output: (batch, 2 * channels * bins), means first

    Example:
        >>> StatsPool()(torch.tensor([[[[1.0, 3.0, 9.0]]]]), torch.tensor([2])).round(decimals=3)
        tensor([[2., 1.]])
    """

    def __init__(self, unbiased: bool = False, epsilon: float = POOLING_EPSILON) -> None:
        super().__init__()
        self.unbiased, self.epsilon = unbiased, epsilon

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pool over the frames of each segment."""
        if lengths is None and getattr(self, "fused", False) and self.training and takes(maps):  # normact.use_fused
            factor = maps.shape[-1] / max(maps.shape[-1] - 1, 1) if self.unbiased else 1.0
            return FusedStats.apply(maps, factor, self.epsilon, 0.0 if self.epsilon else TINY)
        maps = maps.float()  # sums over frames are kept in float32 under autocast too
        mean = _mean(maps, lengths)
        variance = _mean((maps - mean[..., None]).square(), lengths)
        if self.unbiased and lengths is not None:
            variance = variance * (lengths / (lengths - 1).clamp(min=1))[:, None, None]
        elif self.unbiased:
            variance = variance * (maps.shape[-1] / max(maps.shape[-1] - 1, 1))
        return torch.cat([mean.flatten(1), self._deviation(variance).flatten(1)], dim=1)

    def moments(self) -> Moments:
        """Collects the frames of a segment that comes in pieces, for `of`."""
        return Moments()

    def of(self, moments: Moments) -> Tensor:
        """`forward` over all frames that were added to `moments`."""
        variance = moments.variance
        if self.unbiased:
            variance = variance * (moments.frames / max(moments.frames - 1, 1))
        return torch.cat([moments.mean.flatten(1), self._deviation(variance).flatten(1)], dim=1).float()

    def _deviation(self, variance: Tensor) -> Tensor:
        return (variance + self.epsilon if self.epsilon else variance.clamp(min=TINY)).sqrt()


class AttentivePool(StatsPool):
    """Mean and standard deviation with a weight for every frame: the softmax over frames of v · tanh(W x + b).

    Before training all weights are equal, which is StatsPool.

    Source: Okabe, Koshinaka and Shinoda 2018, "Attentive Statistics Pooling for Deep Speaker Embedding".

    Args:
        dim: channels * bins.
        epsilon: added to the variance before the square root.

    Shape:
        - Input: (batch, channels, bins, frames), lengths (batch,) in frames or None where all are full
        - Output: (batch, 2 * channels * bins), means first
    """

    def __init__(self, dim: int, epsilon: float = POOLING_EPSILON) -> None:
        super().__init__(epsilon=epsilon)
        self.hidden = nn.Linear(dim, ATTENTION_DIM)
        self.score = nn.Linear(ATTENTION_DIM, 1, bias=False)  # a bias would cancel in the softmax
        nn.init.zeros_(self.score.weight)

    def scores(self, maps: Tensor) -> Tensor:
        """Logarithm of each frame's weight, but for a constant. Shape: (batch, 1, 1, frames)."""
        frames = maps.float().flatten(1, 2).transpose(1, 2)
        return self.score(torch.tanh(self.hidden(frames))).transpose(1, 2)[:, None].float()

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pool over the frames of each segment."""
        maps, scores = maps.float(), self.scores(maps)
        if lengths is not None:
            scores = scores.masked_fill(~frame_mask(lengths, maps.shape[-1]), -torch.inf)
        weights = scores.softmax(dim=-1)
        mean = (weights * maps).sum(dim=-1)
        variance = (weights * (maps - mean[..., None]).square()).sum(dim=-1)
        return torch.cat([mean.flatten(1), self._deviation(variance).flatten(1)], dim=1)

    def moments(self) -> Moments:
        """Collects the frames of a segment that comes in pieces, for `of`."""
        # Scores are bounded by the sum of |v|: their exponentials neither overflow nor vanish in float64.
        return Moments(lambda maps: self.scores(maps).double().exp())


class Flatten(nn.Module):
    """No pooling: every frame's maps side by side, for the ablation without statistics pooling (chunks of one length).

    Shape:
        - Input: (batch, channels, bins, frames), lengths None
        - Output: (batch, channels * bins * frames)
    """

    def forward(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pool over the frames of each segment."""
        assert lengths is None, "a network without pooling takes chunks of one length"
        return maps.float().flatten(1)


def pooling_of(spec: NetworkSpec) -> nn.Module:
    """The pooling that a network's spec asks for."""
    match spec.pooling:
        case "stats":
            return StatsPool(spec.deviation == "unbiased", spec.pooling_epsilon)
        case "attentive":
            return AttentivePool(8 * spec.channels * after_strides(spec.bins), spec.pooling_epsilon)
        case "mean":
            return MeanPool()
    return Flatten()


def _mean(maps: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return maps.mean(dim=-1)
    valid = frame_mask(lengths, maps.shape[-1])
    return (maps * valid).sum(dim=-1) / lengths[:, None, None]
