"""Confidence intervals of accuracies for new speakers, valid for few speakers and near 0 and 100 %.

Segments of one speaker are correlated, and those of one fold were scored by one network: the effective sample size of 5531
segments is far smaller. The variance is the delete-one-group jackknife over speakers; speakers scored by the same fold's
network are left out together, because they share the random variation of its training. The interval is Wilson's
with the effective sample size that has this variance, and Student's t quantile with (units - 1) degrees of freedom. It stays
within 0 and 100 %, has a width even if all segments are correct, and is deterministic. It is never narrower than that of
independent segments.

Figures of several training runs (seeds) are means; the variance between runs beyond chance is added, with Satterthwaite's
degrees of freedom.

All intervals are of pooled figures. Their coverage in simulations is in docs/reliability.md (benchmarks/coverage.py).

Source: Wilson 1927; Korn and Graubard 1998 (effective sample size); Hansen 2022, "Jackknife standard errors for clustered
regression"; Cameron, Gelbach and Miller 2011 (two-way clusters); Satterthwaite 1946. The bootstrap: Field and Welsh 2007;
Hesterberg 2015, section 3.5 (expanded percentiles).

>>> [round(end, 4) for end in wilson(15, 20)]
[0.5313, 0.8881]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from sertk.errors import SertkError
from sertk.scoring.emotion import measures

Ends = tuple[float, float]
METHODS = ("jackknife", "bootstrap")
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


@dataclass(frozen=True)
class Variance:
    """Estimates with their variances.

    Args:
        values: (measures,) estimates.
        variances: (measures,) variances.
        freedom: (measures,) degrees of freedom of the variances.
    """

    values: np.ndarray
    variances: np.ndarray
    freedom: np.ndarray


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


def jackknife(parts: np.ndarray, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Delete-one jackknife of the measures of a confusion matrix.

    Args:
        parts: (…, units, classes, classes) counts of each unit.
        times: (units,) multiplicity of each unit; default 1.

    Returns:
        measures, their variances, and the influence of each unit.

    Shape:
        - Output: (…, measures), (…, measures), (…, units, measures)
    """
    times = np.ones(parts.shape[-3]) if times is None else times
    total = np.einsum("...uij,u->...ij", parts, times)
    classes = total.reshape(-1, *total.shape[-2:]).sum(axis=(0, 2)) > 0
    values = measures(total, classes)
    shifts = values[..., None, :] - measures(total[..., None, :, :] - parts, classes)
    number = times.sum()
    variances = (number - 1) / number * np.einsum("...um,u->...m", shifts**2, times)
    return values, variances, (number - 1) * shifts


def combined(values: np.ndarray, sources: Sequence[tuple[np.ndarray, float]]) -> Variance:
    """Sum of independent variance components, with Satterthwaite's degrees of freedom.

    The sum can have far more degrees of freedom than its largest component, and so a narrower interval than that component
    alone: then the component is used.

    Args:
        values: (measures,) estimates.
        sources: (variances (measures,), degrees of freedom) of each component.
    """
    total = sum(variances for variances, _ in sources)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = total**2 / sum(variances**2 / freedom for variances, freedom in sources)
    candidates = [(total, np.where(total > 0, freedom, sources[0][1]))]
    candidates += [(variances, np.full(total.shape, float(freedom))) for variances, freedom in sources]
    variances, degrees = (np.stack(column) for column in zip(*candidates))
    widest = np.nan_to_num(stdtrit(degrees, 0.975) * np.sqrt(variances)).argmax(axis=0)[None]
    return Variance(values, *(np.take_along_axis(column, widest, axis=0)[0] for column in (variances, degrees)))


def beyond_chance(values: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Variance component of training runs in a mean over runs: mean square of runs minus interaction, at least 0.

    Args:
        values: (runs, measures), from `jackknife`.
        shifts: (runs, units, measures) influences, from `jackknife`.

    Shape:
        - Output: (measures,)
    """
    runs, units = shifts.shape[:2]
    rest = shifts - shifts.mean(axis=0) - shifts.mean(axis=1, keepdims=True) + shifts.mean(axis=(0, 1))
    interaction = (rest**2).sum(axis=(0, 1)) / (runs * units * (runs - 1) * (units - 1))
    return np.maximum(0, values.var(axis=0, ddof=1) / runs - interaction)


def joined(clusters: Sequence[str], fold: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """Independent units for jackknife and bootstrap.

    If every cluster (speaker) is in one fold and some share a fold, folds are the units: these clusters share a network.
    Clusters (sessions) that contain whole folds are units themselves. Otherwise clusters are units, crossed with folds.

    Args:
        clusters: cluster of each segment.
        fold: (segments,) fold whose network scored each segment; None if unknown.

    Returns:
        unit of each segment, (segments,) integers; True if folds are a second, crossed variance component.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    if fold is None:
        return index, False
    fold_index = np.unique(fold, return_inverse=True)[1]
    folds = fold_index.max() + 1
    pairs = len(np.unique(index * folds + fold_index))
    if folds < 2 or pairs == folds:
        return index, False
    return (fold_index, False) if pairs == len(names) else (index, True)


def plain_intervals(counts: np.ndarray, runs: int = 1, level: float = 0.95) -> Intervals:
    """Intervals for independent segments.

    Args:
        counts: (classes, classes), rows truth, summed over runs.
        runs: number of training runs.
        level: confidence level.
    """
    cells = np.flatnonzero(counts)
    parts = np.zeros((len(cells), counts.size))
    parts[np.arange(len(cells)), cells] = 1
    values, variances, _ = jackknife(parts.reshape(-1, *counts.shape), counts.ravel()[cells].astype(np.float64))
    trials = _trials(counts / runs)
    variances = np.where(np.isnan(values), np.nan, np.nan_to_num(variances) * runs)
    estimate = Variance(values, variances, np.full(len(values), np.inf))
    number = round(counts.sum() / runs)
    return _intervals(*score_interval(estimate, trials, level), len(counts), number, number, runs)


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
    units, crossed = joined(clusters, fold)
    counts = run_counts(truth, guess, units, num_classes)
    number = counts.shape[1]
    if number < 2:
        raise SertkError("an interval by clusters needs two clusters or more, in different folds if folds are known")
    pooled = counts.sum(axis=0)
    if method == "bootstrap":
        drawn = measures(resample(pooled, draws, seed), pooled.sum(axis=(0, 2)) > 0)
        low, high = np.array([percentiles(column, number, level) for column in drawn.T]).T
    else:
        estimate = clustered_variance(counts, run_counts(truth, guess, fold, num_classes) if crossed else None)
        low, high = score_interval(estimate, _trials(pooled.sum(axis=0) / len(guess)), level)
    return _intervals(low, high, num_classes, len(np.unique(np.asarray(clusters))), number, len(guess))


def clustered_variance(counts: np.ndarray, crossing: np.ndarray | None = None) -> Variance:
    """Measures over all runs, with variance components of units, runs, and folds crossed with units.

    Args:
        counts: (runs, units, classes, classes).
        crossing: (runs, folds, classes, classes) if folds cross units.
    """
    pooled = counts.sum(axis=0)
    values, variances, _ = jackknife(pooled)
    sources = [(variances, pooled.shape[0] - 1)]
    if len(counts) > 1:
        each, _, shifts = jackknife(counts)
        sources.append((beyond_chance(each, shifts), len(counts) - 1))
    if crossing is not None:
        # The interaction is not subtracted, which is conservative.
        sources.append((jackknife(crossing.sum(axis=0))[1], crossing.shape[1] - 1))
    return combined(values, sources)


def run_counts(truth: np.ndarray, guess: np.ndarray, units: Sequence, num_classes: int) -> np.ndarray:
    """Confusion matrix of each run and unit: guess (runs, segments) -> (runs, units, classes, classes)."""
    return np.stack([cluster_counts(truth, one, units, num_classes) for one in guess])


def cluster_counts(truth: np.ndarray, guess: np.ndarray, clusters: Sequence[str], num_classes: int) -> np.ndarray:
    """Confusion matrix of each cluster, (clusters, classes, classes), in sorted order of clusters."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    cells = (index * num_classes + np.asarray(truth)) * num_classes + np.asarray(guess)
    return np.bincount(cells, minlength=len(names) * num_classes**2).reshape(-1, num_classes, num_classes)


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
