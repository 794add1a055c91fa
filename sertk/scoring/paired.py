"""Two systems on the same segments: is the difference more than chance, how large is it, and what could be shown?

Two things must agree before a difference counts. The permutation exchanges the two systems' outputs of whole speakers:
where the systems are equal, the observed difference is one of 2^(speakers - 1) equally likely ones, so that few speakers
cannot give a small p. Student's t by the jackknife knows what the permutation does not: speakers whose scores came
from one network, and what training runs differ in. The p of a difference is the larger of the two, and the interval is
the jackknife's, so that a difference at p < 0.05 has an interval without 0.

McNemar's exact test takes segments as independent, and stands beside them for those who expect it. Several comparisons
are corrected with Holm's step-down.

Source: McNemar 1947; Holm 1979; Cohen 1988, chapter 5 (g); Winkler et al. 2015 (exchangeability blocks); Agresti and Min
2005 (independent segments, half a count added to each cell).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtr, stdtrit

from sertk.scoring.intervals import Ends, beyond_chance, combined, joined, run_counts

# Up to this many clusters every exchange is tried (2^16 of them) and the p-value is exact.
MAX_EXACT = 16
# What decides: the measure, the level, and how often a difference of the size that "could be shown" is shown.
PRIMARY, ALPHA, POWER = "ua", 0.05, 0.8


@dataclass(frozen=True)
class Difference:
    """A minus B as a part of 1: its value, 95 % interval, p, standard error and the error's degrees of freedom.

    permuted: the p of the permutation alone, which `p` is never below; independent: the standard error if segments were
    independent.
    """

    value: float
    interval: Ends
    p: float
    permuted: float = math.nan
    error: float = math.nan
    freedom: float = math.inf
    independent: float = math.nan

    def detectable(self, tests: int = 1) -> float:
        """The smallest difference that this design shows in four of five cases, `tests` being corrected for."""
        reaches = ((self.freedom, self.error), (np.inf, self.independent))
        return max(float(stdtrit(f, 1 - ALPHA / tests / 2) + stdtrit(f, POWER)) * error for f, error in reaches)


@dataclass(frozen=True)
class Comparison:
    """System A against system B over the same segments.

    only_a, only_b, mcnemar_p, cohen_g: None where a system has several runs. clusters: how many speakers (sessions,
    segments) were exchanged; units: how many were left out in turn; runs: of A and of B.
    """

    only_a: int | None  # segments that A alone classifies correctly
    only_b: int | None
    mcnemar_p: float | None
    cohen_g: float | None  # 0.05 small, 0.15 medium, 0.25 large; above 0 where A is better
    wa: Difference
    ua: Difference
    clusters: int
    units: int = 0
    runs: tuple[int, int] = (1, 1)

    @property
    def least_p(self) -> float:
        """The smallest p that an exchange of so many clusters can give."""
        return min(1.0, 2.0 ** (1 - self.clusters))

    def possible(self, tests: int = 1) -> bool:
        """Whether a p below 0.05 can come out at all, `tests` being corrected for."""
        return self.least_p * tests < ALPHA


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of `only_a` against `only_b` discordant segments.

    >>> mcnemar(1, 5)  # (1 + 6) of 2^6, twice
    0.21875
    """
    number, tail, ways = only_a + only_b, 0, 1
    for k in range(min(only_a, only_b) + 1):
        tail += ways
        ways = ways * (number - k) // (k + 1)
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
    fold: np.ndarray | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """A against B.

    fold: whose network scored each segment; clusters in one fold are left out together.

    Shape:
        - truth: (segments,) class numbers; guess_a, guess_b: (segments,) or (runs, segments)
        - clusters, fold: (segments,)
    """
    systems = [np.atleast_2d(guess) for guess in (guess_a, guess_b)]
    exchanged = np.unique(np.asarray(clusters), return_inverse=True)[1]
    hits, rows = _hits(truth, systems, exchanged, num_classes)
    # A difference is a sum over clusters, the truth's counts being fixed: an exchange flips a cluster's sign.
    whole = rows.sum(axis=0)
    p_values = exchange_p(_accuracies(_gain(hits), rows, whole), draws, seed)
    units, crossed = joined(exchanged, fold)
    errors = [_clustered_error(*_hits(truth, systems, units, num_classes))]
    if crossed:
        errors.append(_clustered_error(*_hits(truth, systems, fold, num_classes)))
    values, error, freedom = errors[0][0], np.hypot.reduce([e for _, e, _ in errors]), errors[0][2]
    if crossed:
        freedom = np.minimum(freedom, errors[1][2])
    alone = _independent_error(truth, systems, num_classes)
    wa, ua = (_difference(*row) for row in zip(values, p_values, error, freedom, alone))
    runs = (len(systems[0]), len(systems[1]))
    return Comparison(*_discordant(truth, systems), wa, ua, len(rows), len(np.unique(units)), runs)


def _hits(truth, systems, units, num_classes: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Correct segments of each run, unit and class, [(runs, units, classes)] of A and B, and all segments (units, classes)."""
    counts = [run_counts(truth, guess, units, num_classes) for guess in systems]
    return [np.diagonal(c, axis1=2, axis2=3).astype(np.float64) for c in counts], counts[0][0].sum(axis=2)


def _gain(hits: Sequence[np.ndarray]) -> np.ndarray:
    """What A has more than B in the mean over their runs, (units, classes)."""
    return hits[0].mean(axis=0) - hits[1].mean(axis=0)


def _accuracies(hits: np.ndarray, rows: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """What (…, classes) correct segments give of WA and UA, as parts of `whole` (…, classes): (…, 2).

    UA is NaN where a class that there is is in no segment of `whole`.
    """
    classes = rows.reshape(-1, rows.shape[-1]).sum(axis=0) > 0
    recall = np.divide(hits, whole, out=np.full(np.broadcast_shapes(hits.shape, whole.shape), np.nan), where=whole > 0)
    return np.stack([hits.sum(axis=-1) / whole.sum(axis=-1), recall[..., classes].mean(axis=-1)], axis=-1)


def _clustered_error(hits: Sequence[np.ndarray], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The differences in WA and UA, their jackknife errors over units and runs, and the errors' degrees of freedom."""
    units, whole = len(rows), rows.sum(axis=0)

    def left_out(correct):  # (…, units, classes) -> values (…, 2), shifts (…, units, 2)
        total = correct.sum(axis=-2)
        values = _accuracies(total, rows, whole)
        with np.errstate(invalid="ignore"):
            return values, values[..., None, :] - _accuracies(total[..., None, :] - correct, rows, whole - rows)

    values, shifts = left_out(_gain(hits))
    sources = [((units - 1) / units * (shifts**2).sum(axis=0), units - 1)]
    for correct in hits:
        if len(correct) > 1:
            each, shifts = left_out(correct)
            sources.append((beyond_chance(each, (units - 1) * shifts), len(correct) - 1))
    found = combined(values, sources)
    return found.values, np.sqrt(found.variances), found.freedom


def _independent_error(truth, systems, num_classes: int) -> np.ndarray:
    """The errors of WA and UA if segments were independent (2,), half a count added to each cell of each class."""
    gain = (systems[0] == truth).mean(axis=0) - (systems[1] == truth).mean(axis=0)
    rows, sums, squares = (
        np.bincount(truth, weights=weights, minlength=num_classes) for weights in (None, gain, gain**2)
    )
    there = rows > 0

    def variance(number, total, square):
        return (square + 1 - total**2 / (number + 2)) / (number + 2) ** 2

    ua = variance(rows, sums, squares)[there].sum() / there.sum() ** 2
    return np.sqrt([variance(len(truth), gain.sum(), (gain**2).sum()), ua])


def _difference(value, permuted, error, freedom, alone) -> Difference:
    """A difference whose interval and p are the wider and the larger of those of units and of independent segments."""
    reach = max(float(stdtrit(freedom, 0.975)) * error, NormalDist().inv_cdf(0.975) * alone)
    t = [
        float(2 * stdtr(f, -abs(value) / e)) if e else float(value == 0) for f, e in ((freedom, error), (np.inf, alone))
    ]
    ends = (max(-1.0, float(value - reach)), min(1.0, float(value + reach)))
    p = max(float(permuted), *t)
    return Difference(float(value), ends, p, float(permuted), float(error), float(freedom), float(alone))


def _discordant(truth, systems) -> tuple[int | None, int | None, float | None, float | None]:
    """What A and B alone classify correctly, McNemar's p and Cohen's g; all None where a system has several runs."""
    if any(len(guess) > 1 for guess in systems):
        return None, None, None, None
    right_a, right_b = (guess[0] == truth for guess in systems)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    cohen_g = only_a / (only_a + only_b) - 0.5 if only_a + only_b else 0.0
    return only_a, only_b, mcnemar(only_a, only_b), cohen_g
