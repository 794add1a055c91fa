"""Confidence intervals of accuracies that hold for new speakers, with few of them and near 0 and 100 %.

Segments of one speaker resemble each other, and those of one fold were scored by one network: a figure over 5531
segments is worth far fewer independent trials. The variance is that of the jackknife that leaves out one speaker at a
time; where several speakers share a fold's network, they are left out together, since what that network's training
happened to give is common to them. The interval is Student's t with (units - 1) degrees of freedom, taken on Wilson's
scale: the binomial interval of as many independent trials as would have this variance. It stays within 0 and 100 %, has a
width where nothing is wrong, and nothing in it is random. It is never narrower than that of independent segments.

Of several training runs (seeds) the figures are means; what the runs differ in beyond chance adds to the variance, with
degrees of freedom by Satterthwaite.

All intervals are of the pooled figures. Their coverage by simulation is in docs/reliability.md (benchmarks/coverage.py).

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
# An interval of fewer units than this is marked: Student's t holds only as far as the units are normal.
FEW = 5
# Memory for the draws' weights is bounded by this many numbers.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Intervals:
    """Both ends for WA, UA, macro-F1 and each class's recall and precision, as parts of 1.

    clusters: how many speakers (sessions, …) there are; units: how many were left out or drawn in turn, fewer where a
    fold's network scored several; runs: of the system.
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
    """Values (measures,) with their variance and degrees of freedom (measures,) each."""

    values: np.ndarray
    variances: np.ndarray
    freedom: np.ndarray


def wilson(hits: float, total: int, level: float = 0.95) -> Ends:
    """Wilson's score interval of a proportion; (nan, nan) of nothing."""
    if not total:
        return float("nan"), float("nan")
    low, high = _score_ends(np.float64(hits / total), NormalDist().inv_cdf((1 + level) / 2) ** 2 / total)
    return float(low), float(high)


def _score_ends(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's ends where z²/n is `weight`."""
    middle = values + weight / 2
    half = np.sqrt(weight * values * (1 - values) + weight**2 / 4)
    # Rounding can leave the exact ends 0 and 1 by 1e-17.
    return np.maximum(0.0, (middle - half) / (1 + weight)), np.minimum(1.0, (middle + half) / (1 + weight))


def score_interval(found: Variance, trials: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Ends (measures,) of a Wilson interval with the effective number of trials and Student's quantile.

    trials: (measures,) the independent trials there would be at most; the interval is never narrower than theirs.
    NaN where there is no value, no variance or no trial.
    """
    spread = found.values * (1 - found.values)
    quantile = stdtrit(found.freedom, (1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        clustered = np.where(spread > 0, quantile**2 * found.variances / spread, 0 * found.variances)
        plain = NormalDist().inv_cdf((1 + level) / 2) ** 2 / trials
        ends = [_score_ends(found.values, weight) for weight in (clustered, plain)]
        low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
    known = np.isfinite(found.variances) & (trials > 0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def jackknife(parts: np.ndarray, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measures, their jackknife variances, and what each unit adds to them.

    times: (units,) how often each unit is there, once unless told.

    Shape:
        - parts: (…, units, classes, classes) counts of each unit
        - output: (…, measures), (…, measures), (…, units, measures)
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
    """The sum of independent variances, each (variances, degrees of freedom), with Satterthwaite's degrees.

    A sum of several can have many more degrees than its largest part, and an interval narrower than that part's: then
    that part stands for the sum.
    """
    total = sum(variances for variances, _ in sources)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = total**2 / sum(variances**2 / freedom for variances, freedom in sources)
    found = [(total, np.where(total > 0, freedom, sources[0][1]))]
    found += [(variances, np.full(total.shape, float(freedom))) for variances, freedom in sources]
    variances, degrees = (np.stack(column) for column in zip(*found))
    widest = np.nan_to_num(stdtrit(degrees, 0.975) * np.sqrt(variances)).argmax(axis=0)[None]
    return Variance(values, *(np.take_along_axis(column, widest, axis=0)[0] for column in (variances, degrees)))


def beyond_chance(values: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """The variance of a mean over runs that comes of the runs themselves, not of what each unit met in each run.

    The mean square of the runs less that of the interaction, never below 0.

    Shape:
        - values: (runs, measures), shifts: (runs, units, measures) as `jackknife` gives them; output: (measures,)
    """
    runs, units = shifts.shape[:2]
    rest = shifts - shifts.mean(axis=0) - shifts.mean(axis=1, keepdims=True) + shifts.mean(axis=(0, 1))
    interaction = (rest**2).sum(axis=(0, 1)) / (runs * units * (runs - 1) * (units - 1))
    return np.maximum(0, values.var(axis=0, ddof=1) / runs - interaction)


def joined(clusters: Sequence[str], fold: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """The unit of each segment, (segments,) integers, and whether the folds are a second source of variance.

    Clusters (speakers) of which each is in one fold, some of them in the same, share that fold's network: the fold is the
    unit. Clusters (sessions) that hold whole folds are units themselves. Otherwise clusters are the units and folds cross
    them.
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
    """As if segments were independent.

    counts: (classes, classes), rows the truth, summed over the runs.
    """
    cells = np.flatnonzero(counts)
    parts = np.zeros((len(cells), counts.size))
    parts[np.arange(len(cells)), cells] = 1
    values, variances, _ = jackknife(parts.reshape(-1, *counts.shape), counts.ravel()[cells].astype(np.float64))
    trials = _trials(counts / runs)
    variances = np.where(np.isnan(values), np.nan, np.nan_to_num(variances) * runs)
    found = Variance(values, variances, np.full(len(values), np.inf))
    number = round(counts.sum() / runs)
    return _intervals(*score_interval(found, trials, level), len(counts), number, number, runs)


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
    """Intervals by speakers, sessions or other clusters; NaN where one unit alone has what is measured.

    fold: whose network scored each segment; method: "jackknife", or "bootstrap" with `draws` and `seed`.

    Shape:
        - truth: (segments,) class numbers; guess: (segments,) or (runs, segments); clusters, fold: (segments,)

    Raises:
        SertkError: where there is one unit only.
    """
    guess = np.atleast_2d(guess)
    units, crossed = joined(clusters, fold)
    counts = run_counts(truth, guess, units, num_classes)
    number = counts.shape[1]
    if number < 2:
        raise SertkError("an interval by clusters needs two clusters or more, of different folds where folds are known")
    pooled = counts.sum(axis=0)
    if method == "bootstrap":
        drawn = measures(resample(pooled, draws, seed), pooled.sum(axis=(0, 2)) > 0)
        low, high = np.array([percentiles(column, number, level) for column in drawn.T]).T
    else:
        found = clustered_variance(counts, run_counts(truth, guess, fold, num_classes) if crossed else None)
        low, high = score_interval(found, _trials(pooled.sum(axis=0) / len(guess)), level)
    return _intervals(low, high, num_classes, len(np.unique(np.asarray(clusters))), number, len(guess))


def clustered_variance(counts: np.ndarray, crossing: np.ndarray | None = None) -> Variance:
    """Measures of the mean over runs, with the variance of units, of runs, and of folds that cross the units.

    Shape:
        - counts: (runs, units, classes, classes); crossing: (runs, folds, classes, classes)
    """
    pooled = counts.sum(axis=0)
    values, variances, _ = jackknife(pooled)
    sources = [(variances, pooled.shape[0] - 1)]
    if len(counts) > 1:
        each, _, shifts = jackknife(counts)
        sources.append((beyond_chance(each, shifts), len(counts) - 1))
    if crossing is not None:
        # Without the interaction taken off: conservative by the noise of single segments.
        sources.append((jackknife(crossing.sum(axis=0))[1], crossing.shape[1] - 1))
    return combined(values, sources)


def run_counts(truth: np.ndarray, guess: np.ndarray, units: Sequence, num_classes: int) -> np.ndarray:
    """Confusion of each unit in each run: guess (runs, segments) -> (runs, units, classes, classes)."""
    return np.stack([cluster_counts(truth, one, units, num_classes) for one in guess])


def cluster_counts(truth: np.ndarray, guess: np.ndarray, clusters: Sequence[str], num_classes: int) -> np.ndarray:
    """Confusion of each cluster, (clusters, classes, classes), in the clusters' sorted order."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    cells = (index * num_classes + np.asarray(truth)) * num_classes + np.asarray(guess)
    return np.bincount(cells, minlength=len(names) * num_classes**2).reshape(-1, num_classes, num_classes)


def _trials(counts: np.ndarray) -> np.ndarray:
    """How many independent trials each measure has: (classes, classes) -> (measures,); harmonic for means of classes."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    there = rows[rows > 0]
    harmonic = len(there) ** 2 / (1 / there).sum() if len(there) else 0.0
    return np.concatenate([[rows.sum(), harmonic, harmonic], rows, columns])


def _intervals(low, high, num_classes: int, clusters: int, units: int, runs: int) -> Intervals:
    ends = [(float(a), float(b)) for a, b in zip(low, high)]
    return Intervals(*ends[:3], ends[3 : 3 + num_classes], ends[3 + num_classes :], clusters, units, runs)


def resample(counts: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Sums over clusters drawn with replacement: (clusters, …) -> (draws, …) float64."""
    number = len(counts)
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
