"""Mean and variance normalisation of every bin, over each segment or over all segments of a group.

>>> normalise(np.array([[1, 5], [3, 5]], np.float32)).tolist()
[[-1.0, 0.0], [1.0, 0.0]]
"""

from collections.abc import Callable

import numpy as np

# Floor of the variances, as in Kaldi's apply-cmvn; constant bins are set to 0 apart from it.
VAR_FLOOR = np.float32(1e-20)
# A deviation of so small a part of the mean, or of 1, is rounding: frames of the same samples may differ in the last digits of
# their log-mels, since processors transform several frames at once and the remaining ones by themselves.
ROUNDING = 2.0**-18
# Such variances, times this, are computed again in float64: a mean of float32 sums is rounded by up to 2^-12 of itself.
IN_DOUBT = 2.0**14
# Frames that are summed in float32; such sums are added in float64.
STRETCH = 4096
_ONES = np.ones(STRETCH, np.float32)


def normalise(feats: np.ndarray, norm_vars: bool = True, out: np.ndarray | None = None) -> np.ndarray:
    """Normalise every bin to mean 0 and variance 1; a bin that is constant over the segment becomes 0.

    Args:
        feats: (frames, bins) float32, finite (the table readers refuse NaN and infinite values)
        norm_vars: normalise the variance too
        out: array for the result, of the shape of `feats`, or `feats` itself; None makes a new one

    Returns:
        (frames, bins) float32
    """
    if not len(feats):
        return feats.astype(np.float32)
    # In a constant bin the variance is rounding error, which would be scaled to ±1.
    constant = feats[0] == feats[-1]
    if constant.any():
        constant[constant] = (feats[:, constant] == feats[0, constant]).all(axis=0)
    # Column sums as a product with ones are twice as fast as mean() and std().
    mean = column_means(feats)
    normal = np.subtract(feats, mean, out=out)
    if norm_vars:
        variance = column_means(normal, np.square)
        constant |= _is_rounding(normal, mean, variance)
        normal *= 1 / np.sqrt(np.maximum(variance, VAR_FLOOR))
    if constant.any():
        normal[:, constant] = 0
    return normal


def least_variance(mean: np.ndarray) -> np.ndarray:
    """Largest variance of a bin of that mean that counts as rounding. Shape: (bins,) -> (bins,)."""
    return np.square(ROUNDING * np.maximum(np.abs(mean), 1))


def _is_rounding(centred: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Whether a bin's deviations are rounding, (bins,); in a long segment the mean's own rounding is part of its variance."""
    rounding = variance <= IN_DOUBT * least_variance(mean)
    if rounding.any():
        exact = centred[:, rounding].var(axis=0, dtype=np.float64)
        rounding[rounding] = ~(exact > least_variance(mean[rounding]))  # NaN of numbers beyond 1e19 is too
    return rounding


def statistics(feats: np.ndarray) -> np.ndarray:
    """What `normalise` takes away: mean of every bin, then standard deviation of every bin.

    Args:
        feats: (frames, bins) float32, at least one frame

    Returns:
        (2 * bins,) float32

    Example:
        >>> statistics(np.array([[1, 5], [3, 5]], np.float32)).tolist()
        [2.0, 5.0, 1.0, 0.0]
    """
    mean = column_means(feats)
    centred = feats - mean
    variance = column_means(centred, np.square)
    variance[_is_rounding(centred, mean, variance)] = 0
    return np.concatenate([mean, np.sqrt(variance)])


def column_means(feats: np.ndarray, of: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Mean over the frames.

    Args:
        feats: (frames, bins) float32
        of: elementwise function whose mean is computed instead, such as np.square

    Returns:
        (bins,) float32
    """
    if len(feats) <= STRETCH:
        return _ONES[: len(feats)] @ (of(feats) if of else feats) / np.float32(len(feats))
    parts = (feats[start : start + STRETCH] for start in range(0, len(feats), STRETCH))
    total = sum((_ONES[: len(part)] @ (of(part) if of else part)).astype(np.float64) for part in parts)
    return (total / len(feats)).astype(np.float32)


class Moments:
    """Sums over the segments of a group, for its mean and variance.

    Args:
        bins: number of bins
    """

    def __init__(self, bins: int) -> None:
        self.frames, self.sums, self.squares = 0, np.zeros(bins), np.zeros(bins)
        self.low, self.high = np.full(bins, np.inf, np.float32), np.full(bins, -np.inf, np.float32)

    def add(self, feats: np.ndarray) -> None:
        """Add a segment, (frames, bins)."""
        if len(feats):
            wide = feats.astype(np.float64)
            self.frames += len(feats)
            self.sums += wide.sum(axis=0)
            self.squares += np.einsum("ij,ij->j", wide, wide)
            self.low, self.high = np.minimum(self.low, feats.min(axis=0)), np.maximum(self.high, feats.max(axis=0))

    def normalise(self, feats: np.ndarray, norm_vars: bool = True, out: np.ndarray | None = None) -> np.ndarray:
        """Normalise by the group's mean and variance; bins that are constant in the group become 0.

        Without the variance, only their value in the group becomes 0: of a segment of few others it may differ.

        Args:
            feats: (frames, bins) float32, of a segment of the group or of any other
            norm_vars: normalise the variance too
            out: as for the function `normalise`

        Returns:
            (frames, bins) float32
        """
        mean, constant = self.sums / max(self.frames, 1), self.low >= self.high
        # That of a constant is the constant, to the bit.
        normal = np.subtract(feats, np.where(constant, self.low, mean).astype(np.float32), out=out)
        if norm_vars:
            variance = self.squares / max(self.frames, 1) - mean**2
            constant |= variance <= least_variance(mean)
            normal *= (1 / np.sqrt(np.maximum(variance, VAR_FLOOR))).astype(np.float32)
            normal[:, constant] = 0
        return normal
