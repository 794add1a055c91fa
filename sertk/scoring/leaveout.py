"""Speaker verification figures without one speaker at a time: intervals for new speakers, differences of systems.

A trial has two speakers, so trials of other speakers share one of them. The jackknife leaves out one speaker with all the
trials that he or she is in. Rates (EER, minDCF) have Wilson's interval with the effective sample size of this variance and
Student's quantile, as accuracies do (sertk.scoring.intervals); Cllr has Student's on a logarithmic scale. The interval
of a figure is never narrower than that of independent trials.

Source: Efron and Stein 1981 (the jackknife of statistics of pairs); Korn and Graubard 1998.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from scipy.special import stdtr, stdtrit

from sertk.scoring.intervals import Ends, score_interval
from sertk.scoring.paired import Difference
from sertk.scoring.speaker import bits
from sertk.scoring.variance import Variance

# Sorted score indices of removed targets and nontargets, if nothing is removed.
_NONE = [np.empty(0, dtype=int)] * 2


@dataclass(frozen=True)
class Replicates:
    """A figure, and its values without one speaker at a time.

    Args:
        value: of all trials.
        left: (speakers,) values.
        trials: sample size as if trials were independent: a rate then has the variance value (1 - value) / trials, Cllr
            value² / trials.
    """

    value: float
    left: np.ndarray
    trials: float

    @property
    def variance(self) -> float:
        """The jackknife's variance."""
        return _variance(self.value, self.left)

    def rate_interval(self) -> Ends:
        """95 % interval of a figure between 0 and 1."""
        estimate = Variance(*(np.array([x]) for x in (self.value, self.variance, len(self.left) - 1.0)))
        low, high = score_interval(estimate, np.array([self.trials]))
        return float(low[0]), float(high[0])

    def positive_interval(self) -> Ends:
        """95 % interval of a figure above 0 without upper bound."""
        clustered = stdtrit(len(self.left) - 1, 0.975) * self.variance**0.5 / self.value
        factor = float(np.exp(max(clustered, NormalDist().inv_cdf(0.975) / self.trials**0.5)))
        return self.value / factor, self.value * factor


class LeftOut:
    """Scored trials of which one speaker at a time can be left out.

    Args:
        scores: (trials,).
        target: (trials,) bool.
        first: (trials,) speaker index of one side.
        second: (trials,) speaker index of the other side.
    """

    def __init__(self, scores: np.ndarray, target: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        self.scores, self.target = scores, target
        self.speakers = np.unique(np.concatenate([first, second]))
        self.trials_of = _trials_of(first, second, self.speakers)
        values, self.place = np.unique(scores, return_inverse=True)
        kinds = (target, ~target)
        # Number of trials below each threshold: values[0], values[1], …, above all.
        self.below = [np.append(0, np.cumsum(np.bincount(self.place[k], minlength=len(values)))) for k in kinds]
        self.removed = [[np.sort(self.place[own[kind[own]]]) for kind in kinds] for own in self.trials_of]

    @property
    def possible(self) -> bool:
        """False for a single speaker, or if leaving one out leaves no targets or no nontargets."""
        totals = [counts[-1] for counts in self.below]
        alone = any(len(own) == total for removed in self.removed for own, total in zip(removed, totals))
        return len(self.speakers) > 1 and not alone

    def eers(self) -> Replicates:
        """Equal error rates."""
        value = _crossing(self.below, _NONE)
        left = np.array([_crossing(self.below, removed) for removed in self.removed])
        return Replicates(value, left, min(counts[-1] for counts in self.below))

    @cached_property
    def _candidates(self) -> np.ndarray:
        """Thresholds that can be optimal: at a target above a nontarget, and above all scores.

        Below a target without a nontarget in between, a lower threshold misses fewer targets and accepts no more
        nontargets; this holds whatever trials are removed.
        """
        has_target, has_nontarget = (np.diff(counts) > 0 for counts in self.below)
        above = has_target & np.append(True, has_nontarget[:-1])
        return np.append(np.flatnonzero(above), len(has_target))

    def _rates(self, removed: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """P_miss and P_fa at the candidates, (candidates,) each, without the `removed` score indices."""
        rates = []
        for counts, own in zip(self.below, removed):
            fewer = np.bincount(np.searchsorted(self._candidates, own, "right"), minlength=len(self._candidates) + 1)
            rates.append((counts[self._candidates] - np.cumsum(fewer[:-1])) / (counts[-1] - len(own)))
        return rates[0], 1 - rates[1]

    def min_dcfs(self, p_targets: Sequence[float]) -> list[Replicates]:
        """Minimum detection costs (sertk.scoring.speaker.min_dcf) at each prior."""
        weights = [(p / min(p, 1 - p), (1 - p) / min(p, 1 - p)) for p in p_targets]
        rates = [self._rates(removed) for removed in (_NONE, *self.removed)]
        results = []
        for of_miss, of_false_alarm in weights:
            costs = np.array([(of_miss * miss + of_false_alarm * accepted).min() for miss, accepted in rates])
            trials = self._independent(float(costs[0]), of_miss, of_false_alarm)
            results.append(Replicates(float(costs[0]), costs[1:], trials))
        return results

    def _independent(self, cost: float, of_miss: float, of_false_alarm: float) -> float:
        """Sample size of a least cost for independent trials; half an error is added, so that none is not certain."""
        miss, false_alarm = self._rates(_NONE)
        best = (of_miss * miss + of_false_alarm * false_alarm).argmin()
        numbers = [counts[-1] for counts in self.below]
        if not 0 < cost < 1:
            return 1 / (of_miss / numbers[0] + of_false_alarm / numbers[1])
        variance = 0.0
        for weight, rate, number in zip((of_miss, of_false_alarm), (miss[best], false_alarm[best]), numbers):
            rate = (rate * number + 0.5) / (number + 1)
            variance += weight**2 * rate * (1 - rate) / number
        return cost * (1 - cost) / variance

    def cllrs(self) -> Replicates:
        """Cllr of log-likelihood ratios."""
        cost = bits(self.scores, self.target)
        value, left, variance = 0.0, np.zeros(len(self.speakers)), 0.0
        for kind in (self.target, ~self.target):
            sums = np.array([cost[own[kind[own]]].sum() for own in self.trials_of])
            number = np.array([kind[own].sum() for own in self.trials_of])
            value += float(cost[kind].mean()) / 2
            left += (cost[kind].sum() - sums) / (kind.sum() - number) / 2
            variance += float(cost[kind].var()) / kind.sum() / 4
        return Replicates(value, left, value**2 / variance if variance else np.inf)


def difference(a: Replicates, b: Replicates) -> Difference:
    """Difference A - B of a figure of two systems on the same trials: the jackknife over speakers, and Student's t.

    Speakers cannot be exchanged between the systems, as for emotions: a nontarget trial belongs to two of them.

    Args:
        a: of system A.
        b: of system B, without the same speakers.
    """
    value, freedom = a.value - b.value, len(a.left) - 1.0
    error = _variance(value, a.left - b.left) ** 0.5
    p = float(2 * stdtr(freedom, -abs(value) / error)) if error else float(value == 0)
    reach = float(stdtrit(freedom, 0.975)) * error
    return Difference(value, (value - reach, value + reach), p, np.nan, error, freedom, 0.0)


def _variance(value: float, left: np.ndarray) -> float:
    """The jackknife's variance of `value`, with (speakers,) values `left` without one speaker."""
    return float((len(left) - 1) / len(left) * ((left - value) ** 2).sum())


def _trials_of(first: np.ndarray, second: np.ndarray, speakers: np.ndarray) -> list[np.ndarray]:
    """Indices of the trials that each speaker is in, once each."""
    trials = np.arange(len(first))
    apart = first != second
    whose = np.concatenate([first, second[apart]])
    which = np.concatenate([trials, trials[apart]])[np.argsort(whose, kind="stable")]
    return np.split(which, np.searchsorted(np.sort(whose), speakers[1:]))


def _crossing(below: list[np.ndarray], removed: list[np.ndarray]) -> float:
    """The EER without some trials, by bisection over thresholds.

    Args:
        below: number of targets and of nontargets below each threshold, (thresholds + 1,).
        removed: sorted score indices of the removed targets and nontargets.
    """
    totals = [counts[-1] - len(own) for counts, own in zip(below, removed)]

    def rates(k: int) -> tuple[float, float]:
        miss, rejected = (
            (counts[k] - np.searchsorted(own, k)) / total for counts, own, total in zip(below, removed, totals)
        )
        return miss, 1 - rejected

    low, high = 0, len(below[0]) - 1  # nothing is rejected, everything
    while high - low > 1:
        middle = (low + high) // 2
        miss, false_alarm = rates(middle)
        low, high = (middle, high) if miss <= false_alarm else (low, middle)
    (miss, false_alarm), (next_miss, next_false_alarm) = rates(low), rates(high)
    step = (false_alarm - miss) / (next_miss - next_false_alarm - miss + false_alarm)
    return float(miss + step * (next_miss - miss))
