"""Confidence intervals of accuracies for new speakers, valid for few speakers and near 0 and 100 %.

The effective sample size of 5531 segments of ten speakers is far smaller than 5531. The variance is that of
sertk.scoring.variance: a jackknife over speakers, joined by the network that scored them, and over training runs. The interval
is Wilson's with the effective sample size that has this variance, and Student's t quantile with the variance's degrees of
freedom. It stays within 0 and 100 %, has a width even if all segments are correct, and is deterministic. It is never narrower
than that of independent segments.

All intervals are of pooled figures. Their coverage in simulations is in docs/reliability.md (benchmarks/coverage.py).

Source: Wilson 1927; Korn and Graubard 1998 (effective sample size). The bootstrap: Field and Welsh 2007; Hesterberg 2015,
section 3.5 (expanded percentiles).

>>> [round(end, 4) for end in wilson(15, 20)]
[0.5313, 0.8881]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from sertk.errors import SertkError
from sertk.scoring.emotion import confusion, measures
from sertk.scoring.variance import (
    Variance,
    clustered_variance,
    effective_runs,
    jackknife,
    jackknife_variance,
    joined,
    run_counts,
)

Ends = tuple[float, float]
# Intervals of fewer units are marked: Student's t then depends on normally distributed units.
FEW = 5
# Most bootstrap weights in memory at once.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Intervals:
    """Intervals of WA, UA, macro-F1, and recall and precision of each class, as fractions.

    Args:
        wa: (low, high).
        ua: (low, high).
        macro_f1: (low, high).
        recalls: (low, high) of each class.
        precisions: (low, high) of each class.
        clusters: number of speakers (sessions, …).
        units: number of units left out or resampled, fewer than `clusters` if a fold's network scored several.
        runs: number of training runs.
    """

    wa: Ends
    ua: Ends
    macro_f1: Ends
    recalls: list[Ends]
    precisions: list[Ends]
    clusters: int
    units: int
    runs: int


def wilson(hits: float, total: int, level: float = 0.95) -> Ends:
    """Wilson's score interval of a proportion.

    Args:
        hits: successes.
        total: trials; (nan, nan) is returned for 0.
        level: confidence level.
    """
    if not total:
        return float("nan"), float("nan")
    low, high = _score_ends(np.float64(hits / total), NormalDist().inv_cdf((1 + level) / 2) ** 2 / total)
    return float(low), float(high)


def _score_ends(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's interval, with `weight` = z²/n."""
    middle = values + weight / 2
    half = np.sqrt(weight * values * (1 - values) + weight**2 / 4)
    # Clipped: rounding moves the exact ends 0 and 1 by up to 1e-17.
    return np.maximum(0.0, (middle - half) / (1 + weight)), np.minimum(1.0, (middle + half) / (1 + weight))


def score_interval(estimate: Variance, trials: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson intervals with effective sample size and Student's quantile.

    Args:
        estimate: estimates with their variances.
        trials: (measures,) sample sizes as if segments were independent; the interval is never narrower than with these.
        level: confidence level.

    Returns:
        lower and upper ends, (measures,) each; NaN without estimate, variance or trials.
    """
    spread = estimate.values * (1 - estimate.values)
    quantile = stdtrit(estimate.freedom, (1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        clustered = np.where(spread > 0, quantile**2 * estimate.variances / spread, 0 * estimate.variances)
        plain = NormalDist().inv_cdf((1 + level) / 2) ** 2 / trials
        ends = [_score_ends(estimate.values, weight) for weight in (clustered, plain)]
        low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
    known = np.isfinite(estimate.variances) & (trials > 0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def plain_intervals(truth: np.ndarray, guess: np.ndarray, num_classes: int, level: float = 0.95) -> Intervals:
    """Intervals for independent segments.

    Args:
        truth: (segments,) class indices.
        guess: (segments,) or (runs, segments) predicted class indices.
        num_classes: number of classes.
        level: confidence level.
    """
    guess = np.atleast_2d(guess)
    counts = sum(confusion(truth, one, num_classes) for one in guess)
    cells = np.flatnonzero(counts)
    parts, times = np.zeros((len(cells), counts.size)), counts.ravel()[cells].astype(np.float64)
    parts[np.arange(len(cells)), cells] = 1
    values, influences = jackknife(parts.reshape(-1, *counts.shape), times)
    runs = effective_runs(truth, guess)
    variances = np.nan_to_num(jackknife_variance(influences, times)) * len(guess) / runs
    estimate = Variance(values, np.where(np.isnan(values), np.nan, variances), np.full(len(values), np.inf))
    ends = score_interval(estimate, _trials(counts / len(guess) * runs), level)
    return _intervals(*ends, num_classes, len(truth), len(truth), len(guess))


def cluster_intervals(
    truth: np.ndarray,
    guess: np.ndarray,
    clusters: Sequence[str],
    num_classes: int,
    fold: np.ndarray | None = None,
    method: str = "jackknife",
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """Intervals clustered by speaker, session or another map.

    Args:
        truth: (segments,) class indices.
        guess: (segments,) or (runs, segments) predicted class indices.
        clusters: cluster of each segment.
        num_classes: number of classes.
        fold: (segments,) fold whose network scored each segment; None if unknown.
        method: "jackknife" or "bootstrap".
        draws: bootstrap samples.
        seed: random seed of the bootstrap.
        level: confidence level.

    Returns:
        intervals; NaN for a measure that depends on one unit alone.

    Raises:
        SertkError: there is only one unit.
    """
    guess = np.atleast_2d(guess)
    counts = run_counts(truth, guess, joined(clusters, fold)[0], num_classes).sum(axis=0)
    number = len(counts)
    if number < 2:
        raise SertkError("an interval by clusters needs two clusters or more, in different folds if folds are known")
    if method == "bootstrap":
        drawn = measures(resample(counts, draws, seed), counts.sum(axis=(0, 2)) > 0)
        low, high = np.array([percentiles(column, number, level) for column in drawn.T]).T
    else:
        estimate = clustered_variance(truth, guess, clusters, num_classes, fold)
        trials = _trials(counts.sum(axis=0) / len(guess)) * effective_runs(truth, guess)
        low, high = score_interval(estimate, trials, level)
    return _intervals(low, high, num_classes, len(np.unique(np.asarray(clusters))), number, len(guess))


def _trials(counts: np.ndarray) -> np.ndarray:
    """Sample size of each measure, (measures,), from counts (classes, classes); harmonic for means over classes."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    present = rows[rows > 0]
    harmonic = len(present) ** 2 / (1 / present).sum() if len(present) else 0.0
    return np.concatenate([[rows.sum(), harmonic, harmonic], rows, columns])


def _intervals(low: np.ndarray, high: np.ndarray, num_classes: int, clusters: int, units: int, runs: int) -> Intervals:
    """Intervals from the ends (measures,) of all measures."""
    ends = [(float(a), float(b)) for a, b in zip(low, high)]
    return Intervals(*ends[:3], ends[3 : 3 + num_classes], ends[3 + num_classes :], clusters, units, runs)


def resample(counts: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Cluster bootstrap: sums over clusters drawn with replacement.

    Args:
        counts: (clusters, …).
        draws: bootstrap samples.
        seed: random seed.

    Shape:
        - Output: (draws, …) float64
    """
    number = len(counts)
    rng = np.random.default_rng(seed)
    flat = counts.reshape(number, -1).astype(np.float64)
    share = np.full(number, 1 / number)
    block = max(1, _BLOCK // number)
    sums = [rng.multinomial(number, share, size=min(block, draws - start)) @ flat for start in range(0, draws, block)]
    return np.concatenate(sums).reshape(draws, *counts.shape[1:])


def percentiles(values: np.ndarray, number: int, level: float = 0.95) -> Ends:
    """Expanded percentile interval of a bootstrap distribution.

    Args:
        values: (draws,) replicates; NaN (a class that no drawn cluster had) is left out.
        number: number of resampled units.
        level: confidence level.

    Returns:
        (low, high), NaN without finite replicates.
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan")
    t = stdtrit(number - 1, (1 - level) / 2)
    tail = NormalDist().cdf(float(t) * (number / (number - 1)) ** 0.5)
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
