"""How sure one can be of an accuracy: plain intervals, and intervals that know that segments come in clusters.

Segments of one dialog or speaker resemble each other, so a figure over 5531 segments is worth fewer than 5531
independent trials. The cluster bootstrap draws whole dialogs or speakers with replacement. With few clusters its
percentiles are too narrow; they are widened as the t distribution widens the normal one (Hesterberg's expanded
percentile interval). All intervals are of the pooled figures: a draw that leaves a fold empty has no mean over folds.

Source: Wilson 1927; Field and Welsh 2007 (cluster bootstrap); Hesterberg 2015, "What Teachers Should Know about the
Bootstrap", section 3.5.

>>> [round(end, 4) for end in wilson(15, 20)]
[0.5313, 0.8881]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from sertk.errors import SertkError
from sertk.scoring.emotion import recalls

Ends = tuple[float, float]
# Memory for the draws' weights is bounded by this many numbers.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Intervals:
    """Both ends for WA, UA and each class's recall, as parts of 1; `clusters` is how many there were."""

    wa: Ends
    ua: Ends
    recalls: list[Ends]
    clusters: int


def wilson(hits: float, total: int, level: float = 0.95) -> Ends:
    """Wilson's score interval of a proportion; (nan, nan) of nothing."""
    if not total:
        return float("nan"), float("nan")
    z = NormalDist().inv_cdf((1 + level) / 2)
    p, shrink = hits / total, 1 + z * z / total
    middle = p + z * z / (2 * total)
    half = z * (p * (1 - p) / total + z * z / (4 * total * total)) ** 0.5
    # Rounding can leave the exact ends 0 and 1 by 1e-17.
    return max(0.0, (middle - half) / shrink), min(1.0, (middle + half) / shrink)


def plain_intervals(counts: np.ndarray, draws: int = 10_000, seed: int = 0, level: float = 0.95) -> Intervals:
    """As if segments were independent: Wilson for WA and recalls, the segment bootstrap for UA.

    counts: (classes, classes), rows the truth.
    """
    total = int(counts.sum())
    # Drawing segments with replacement is drawing the cells of their confusion.
    drawn = np.random.default_rng(seed).multinomial(total, counts.ravel() / total, size=draws)
    ua = np.nanmean(recalls(drawn.reshape(draws, *counts.shape)), axis=1)
    rows = counts.sum(axis=1)
    return Intervals(
        wilson(int(np.trace(counts)), total, level),
        percentiles(ua, total, level),
        [wilson(int(counts[k, k]), int(rows[k]), level) for k in range(len(counts))],
        total,
    )


def cluster_intervals(
    truth: np.ndarray,
    guess: np.ndarray,
    clusters: Sequence[str],
    num_classes: int,
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """The cluster bootstrap; truth, guess: (segments,) class numbers, clusters: each segment's dialog or speaker.

    Raises SertkError where there is one cluster only.
    """
    counts = cluster_counts(truth, guess, clusters, num_classes)
    drawn = resample(counts, draws, seed)
    wa = np.trace(drawn, axis1=-2, axis2=-1) / drawn.sum(axis=(-2, -1))
    parts = recalls(drawn)
    return Intervals(
        percentiles(wa, len(counts), level),
        percentiles(np.nanmean(parts, axis=1), len(counts), level),
        [percentiles(parts[:, k], len(counts), level) for k in range(num_classes)],
        len(counts),
    )


def cluster_counts(truth: np.ndarray, guess: np.ndarray, clusters: Sequence[str], num_classes: int) -> np.ndarray:
    """Confusion of each cluster, (clusters, classes, classes), in the clusters' sorted order."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    cells = (index * num_classes + np.asarray(truth)) * num_classes + np.asarray(guess)
    return np.bincount(cells, minlength=len(names) * num_classes**2).reshape(-1, num_classes, num_classes)


def resample(counts: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Sums over clusters drawn with replacement: (clusters, …) -> (draws, …) float64."""
    number = len(counts)
    if number < 2:
        raise SertkError("a cluster bootstrap needs two clusters or more")
    rng = np.random.default_rng(seed)
    flat = counts.reshape(number, -1).astype(np.float64)
    share = np.full(number, 1 / number)
    block = max(1, _BLOCK // number)
    sums = [rng.multinomial(number, share, size=min(block, draws - start)) @ flat for start in range(0, draws, block)]
    return np.concatenate(sums).reshape(draws, *counts.shape[1:])


def percentiles(values: np.ndarray, number: int, level: float = 0.95) -> Ends:
    """Ends of the expanded percentile interval of bootstrap `values` (draws,) from `number` drawn units.

    Draws without a value (a class that no drawn cluster had) are left out; (nan, nan) where none is left.
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan")
    t = stdtrit(number - 1, (1 - level) / 2)
    tail = NormalDist().cdf(float(t) * (number / (number - 1)) ** 0.5)
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
