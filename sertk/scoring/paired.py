"""Paired comparison of two systems on the same segments: difference, interval, p-value, detectable difference.

A difference is significant only if two tests agree. The permutation test exchanges the outputs of the two systems for whole
speakers: under the null hypothesis the observed difference is one of 2^(speakers - 1) equally likely ones, so few speakers
cannot give a small p. Student's t with the jackknife accounts for what the permutation does not: speakers scored by the same
network, and variation between training runs. p is the larger of the two, and the interval is that of the jackknife, so a
difference with p < 0.05 has an interval that excludes 0.

McNemar's exact test assumes independent segments; it is reported because readers expect it, and decides nothing. Multiple
comparisons are corrected by Holm's step-down method.

Source: McNemar 1947; Holm 1979; Cohen 1988, chapter 5 (g); Winkler et al. 2015 (exchangeability blocks); Agresti and Min
2005 (independent segments, half a count added to each cell).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtr, stdtrit

from sertk.scoring.intervals import Ends
from sertk.scoring.variance import difference_variance, joined, run_counts

# Up to this many clusters all permutations (2^16) are evaluated and the p-value is exact.
MAX_EXACT = 16
# Primary measure, significance level, and power of the detectable difference.
PRIMARY, ALPHA, POWER = "ua", 0.05, 0.8


@dataclass(frozen=True)
class Difference:
    """Difference A - B in one measure, as a fraction.

    Args:
        value: the difference.
        interval: 95 % interval.
        p: two-sided p-value.
        permuted: p of the permutation test alone, at most `p`.
        error: standard error.
        freedom: degrees of freedom of `error`.
        independent: standard error if segments were independent.
    """

    value: float
    interval: Ends
    p: float
    permuted: float = math.nan
    error: float = math.nan
    freedom: float = math.inf
    independent: float = math.nan

    def detectable(self, tests: int = 1) -> float:
        """Minimum detectable difference: smallest true difference found significant with 80 % power, corrected for `tests`."""
        components = ((self.freedom, self.error), (np.inf, self.independent))
        return max(float(stdtrit(f, 1 - ALPHA / tests / 2) + stdtrit(f, POWER)) * error for f, error in components)


@dataclass(frozen=True)
class Comparison:
    """System A against system B on the same segments.

    Args:
        only_a: segments that only A classifies correctly; None if a system has several runs, as the next three.
        only_b: segments that only B classifies correctly.
        mcnemar_p: p of McNemar's exact test.
        cohen_g: Cohen's g (0.05 small, 0.15 medium, 0.25 large), positive if A is better.
        wa: difference in WA.
        ua: difference in UA.
        clusters: number of permuted speakers (sessions, segments).
        units: number of jackknife units.
        runs: training runs of A and of B.
    """

    only_a: int | None
    only_b: int | None
    mcnemar_p: float | None
    cohen_g: float | None
    wa: Difference
    ua: Difference
    clusters: int
    units: int = 0
    runs: tuple[int, int] = (1, 1)

    @property
    def least_p(self) -> float:
        """Smallest p that a permutation of so many clusters can give."""
        return min(1.0, 2.0 ** (1 - self.clusters))

    def possible(self, tests: int = 1) -> bool:
        """True if p < 0.05 is possible with so many clusters, corrected for `tests`."""
        return self.least_p * tests < ALPHA


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of McNemar's exact test on `only_a` and `only_b` discordant segments.

    >>> mcnemar(1, 5)  # (1 + 6) of 2^6, twice
    0.21875
    """
    number, tail, ways = only_a + only_b, 0, 1
    for k in range(min(only_a, only_b) + 1):
        tail += ways
        ways = ways * (number - k) // (k + 1)
    return min(1.0, 2 * tail / 2**number)  # integers, so nothing is rounded before the division


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p-values, in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def exchange_p(parts: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Two-sided p of a sign-flip permutation test over clusters.

    Exact for up to 16 clusters, else by Monte Carlo, counting the observed arrangement.

    Args:
        parts: (clusters, statistics) contribution of each cluster to each statistic.
        draws: Monte Carlo permutations.
        seed: random seed.

    Shape:
        - Output: (statistics,)
    """
    number = len(parts)
    observed = np.abs(parts.sum(axis=0)) - 1e-12  # equal up to the rounding of sums in another order
    if number <= MAX_EXACT:
        bits = np.arange(2**number)[:, None] >> np.arange(number) & 1
        return (np.abs((1 - 2 * bits) @ parts) >= observed).mean(axis=0)
    rng = np.random.default_rng(seed)
    reached, block = np.ones(parts.shape[1]), max(1, 2_000_000 // number)
    for start in range(0, draws, block):
        signs = 1 - 2 * rng.integers(0, 2, (min(block, draws - start), number), dtype=np.int8).astype(np.float64)
        reached += (np.abs(signs @ parts) >= observed).sum(axis=0)
    return reached / (draws + 1)


def compare(
    truth: np.ndarray,
    guess_a: np.ndarray,
    guess_b: np.ndarray,
    clusters: Sequence[str],
    num_classes: int,
    fold: np.ndarray | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare system A with system B.

    Args:
        truth: (segments,) class indices.
        guess_a: (segments,) or (runs, segments) predictions of A.
        guess_b: (segments,) or (runs, segments) predictions of B.
        clusters: cluster (speaker) of each segment.
        num_classes: number of classes.
        fold: (segments,) fold whose network scored each segment; clusters in one fold are left out together.
        draws: permutations if there are more than 16 clusters.
        seed: random seed of the permutations.
    """
    systems = [np.atleast_2d(guess) for guess in (guess_a, guess_b)]
    exchanged = np.unique(np.asarray(clusters), return_inverse=True)[1]
    parts = _parts(truth, systems, exchanged, num_classes)
    # Class counts are fixed, so a difference is a sum over clusters, and exchanging a cluster flips its sign.
    p_values = exchange_p(parts, draws, seed)
    found = difference_variance(truth, systems, exchanged, num_classes, fold)
    alone = _independent_error(truth, systems, num_classes)
    rows = zip(found.values, p_values, np.sqrt(found.variances), found.freedom, alone)
    wa, ua = (_difference(*row) for row in rows)
    units, runs = len(np.unique(joined(exchanged, fold)[0])), (len(systems[0]), len(systems[1]))
    return Comparison(*_discordant(truth, systems), wa, ua, len(parts), units, runs)


def _parts(truth: np.ndarray, systems: Sequence[np.ndarray], clusters: np.ndarray, num_classes: int) -> np.ndarray:
    """Contribution of each cluster to the differences in WA and UA, means over runs, (clusters, 2)."""
    a, b = (run_counts(truth, guess, clusters, num_classes) for guess in systems)
    gain = np.diagonal(a.mean(axis=0) - b.mean(axis=0), axis1=1, axis2=2)
    number = a[0].sum(axis=(0, 2))
    present = number > 0
    ua = (gain[:, present] / number[present]).mean(axis=1)
    return np.stack([gain.sum(axis=1) / len(truth), ua], axis=1)


def _independent_error(truth: np.ndarray, systems: Sequence[np.ndarray], num_classes: int) -> np.ndarray:
    """Standard errors of WA and UA for independent segments, (2,), with half a count added to each cell of each class."""
    gain = (systems[0] == truth).mean(axis=0) - (systems[1] == truth).mean(axis=0)
    rows, sums, squares = (
        np.bincount(truth, weights=weights, minlength=num_classes) for weights in (None, gain, gain**2)
    )
    present = rows > 0

    def variance(number: np.ndarray | int, total: np.ndarray | float, square: np.ndarray | float) -> np.ndarray | float:
        return (square + 1 - total**2 / (number + 2)) / (number + 2) ** 2

    ua = variance(rows, sums, squares)[present].sum() / present.sum() ** 2
    return np.sqrt([variance(len(truth), gain.sum(), (gain**2).sum()), ua])


def _difference(value: float, permuted: float, error: float, freedom: float, alone: float) -> Difference:
    """The difference, with the wider interval and larger p of clustered units and independent segments."""
    reach = max(float(stdtrit(freedom, 0.975)) * error, NormalDist().inv_cdf(0.975) * alone)
    t = [
        float(2 * stdtr(f, -abs(value) / e)) if e else float(value == 0) for f, e in ((freedom, error), (np.inf, alone))
    ]
    ends = (max(-1.0, float(value - reach)), min(1.0, float(value + reach)))
    p = max(float(permuted), *t)
    return Difference(float(value), ends, p, float(permuted), float(error), float(freedom), float(alone))


def _discordant(
    truth: np.ndarray, systems: Sequence[np.ndarray]
) -> tuple[int | None, int | None, float | None, float | None]:
    """Segments that only A, only B classifies correctly, McNemar's p, Cohen's g; all None if a system has several runs."""
    if any(len(guess) > 1 for guess in systems):
        return None, None, None, None
    right_a, right_b = (guess[0] == truth for guess in systems)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    cohen_g = only_a / (only_a + only_b) - 0.5 if only_a + only_b else 0.0
    return only_a, only_b, mcnemar(only_a, only_b), cohen_g
