"""Two systems on the same segments: is the difference more than chance, and how large is it?

McNemar's exact test takes segments as independent. The cluster permutation does not: where the systems are equal,
all outputs of a dialog or speaker could be exchanged between them, so the difference is compared with those of all
(or many drawn) exchanges of whole clusters. Several comparisons are corrected with Holm's step-down.

Source: McNemar 1947; Holm 1979; Cohen 1988, chapter 5 (g); Winkler et al. 2015 (exchangeability blocks).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sertk.scoring.intervals import Ends, cluster_counts, percentiles, resample

# Up to this many clusters every exchange is tried (2^16 of them) and the p-value is exact.
MAX_EXACT = 16


@dataclass(frozen=True)
class Difference:
    """A minus B: `value` as a part of 1, its 95 % interval (cluster bootstrap), p of the cluster permutation."""

    value: float
    interval: Ends
    p: float


@dataclass(frozen=True)
class Comparison:
    """System A against system B over the same segments."""

    only_a: int  # segments that A alone recognised
    only_b: int
    mcnemar_p: float
    cohen_g: float  # 0.05 small, 0.15 medium, 0.25 large; above 0 where A is better
    wa: Difference
    ua: Difference
    clusters: int


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of `only_a` against `only_b` discordant segments.

    >>> mcnemar(1, 5)  # (1 + 6) of 2^6, twice
    0.21875
    """
    number, least = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(number, k) for k in range(least + 1))
    return min(1.0, 2 * tail / 2**number)  # whole numbers of any size: nothing is rounded before the division


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def exchange_p(parts: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Two-sided p of sums of `parts` (clusters, statistics), each cluster's sign being open: (statistics,).

    Exact for up to 16 clusters, else of `draws` drawn exchanges, the one observed counted among them.
    """
    number = len(parts)
    observed = np.abs(parts.sum(axis=0)) - 1e-12  # sums of the same parts in another order count as equal
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
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """A against B; truth, guess_a, guess_b: (segments,) class numbers, clusters: each segment's dialog or speaker."""
    counts = np.stack([cluster_counts(truth, guess, clusters, num_classes) for guess in (guess_a, guess_b)], axis=1)
    hits = np.diagonal(counts, axis1=2, axis2=3).astype(np.float64)  # (clusters, 2, classes)
    rows = counts[:, 0].sum(axis=2)  # (clusters, classes): the truth is both systems'
    # Both differences are sums over clusters, the truth's counts being fixed: an exchange flips a cluster's sign.
    gain = hits[:, 0] - hits[:, 1]
    there = rows.sum(axis=0) > 0
    parts = np.stack([gain.sum(axis=1) / rows.sum(), (gain[:, there] / rows.sum(axis=0)[there]).mean(axis=1)], axis=1)
    p_wa, p_ua = exchange_p(parts, draws, seed)
    drawn = resample(np.concatenate([gain, rows], axis=1), draws, seed)
    gains, sizes = drawn[:, :num_classes], drawn[:, num_classes:]
    recall_gains = np.divide(gains, sizes, out=np.full(gains.shape, np.nan), where=sizes > 0)
    right_a, right_b = guess_a == truth, guess_b == truth
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    number = len(counts)
    wa, ua = (float(value) for value in parts.sum(axis=0))
    return Comparison(
        only_a,
        only_b,
        mcnemar(only_a, only_b),
        only_a / (only_a + only_b) - 0.5 if only_a + only_b else 0.0,
        Difference(wa, percentiles(gains.sum(axis=1) / sizes.sum(axis=1), number), float(p_wa)),
        Difference(ua, percentiles(np.nanmean(recall_gains, axis=1), number), float(p_ua)),
        number,
    )
