"""Speaker verification: equal error rate and minimum detection cost of scored trials.

A trial is accepted if its score is at or above the threshold, so tied scores are accepted or rejected together (breaking ties
would give a constant score a perfect EER). The ROC is interpolated linearly between neighbouring thresholds; the EER is where
it crosses P_miss = P_fa. The EER of the ROC convex hull would be lower, because it is optimised on the test set.

>>> eer([3.0, 2.0, 0.5], [1.0, 0.0, -1.0])  # one of three targets below one of three nontargets
0.3333333333333333
>>> min_dcf([3.0, 2.0, 0.5], [1.0, 0.0, -1.0], p_target=0.5)
0.3333333333333333
"""

import numpy as np

from sertk.scoring.intervals import Ends, Variance, score_interval


def error_rates(targets: np.ndarray, nontargets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P_miss, P_fa) at every distinct score in rising order, and above all scores.

    Args:
        targets: (targets,) scores.
        nontargets: (nontargets,) scores.

    Raises:
        ValueError: there are no targets or no nontargets, or a score is NaN or infinite.

    Shape:
        - Output: (distinct scores + 1,) each; P_miss rises from 0 to 1, P_fa falls from 1 to 0
    """
    targets, nontargets = (np.sort(np.asarray(scores, dtype=np.float64)) for scores in (targets, nontargets))
    if not targets.size or not nontargets.size:
        raise ValueError("error rates need target and nontarget scores")
    if not (np.isfinite(targets).all() and np.isfinite(nontargets).all()):
        raise ValueError("a score is NaN or infinite")
    # The threshold at the lowest score accepts all trials, the last one none.
    thresholds = np.append(np.unique(np.concatenate([targets, nontargets])), np.inf)
    miss = np.searchsorted(targets, thresholds, side="left") / targets.size
    false_alarm = 1 - np.searchsorted(nontargets, thresholds, side="left") / nontargets.size
    return miss, false_alarm


def eer(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """Equal error rate as a fraction, of scores (targets,) and (nontargets,)."""
    miss, false_alarm = error_rates(targets, nontargets)
    # The difference rises from -1 to 1: it crosses 0 between its last value at or below 0 and the next one.
    difference = miss - false_alarm
    low = int(np.flatnonzero(difference <= 0)[-1])
    step = -difference[low] / (difference[low + 1] - difference[low])
    return float(miss[low] + step * (miss[low + 1] - miss[low]))


def eer_interval(scores: np.ndarray, target: np.ndarray, first: np.ndarray, second: np.ndarray) -> Ends | None:
    """95 % interval of the EER for new speakers.

    The jackknife leaves out one speaker with all trials he or she is in. The interval is Wilson's with Student's quantile, as
    for accuracies (sertk.scoring.intervals).

    Args:
        scores: (trials,).
        target: (trials,) bool.
        first: (trials,) speaker index of one side.
        second: (trials,) speaker index of the other side.

    Returns:
        (low, high); None for a single speaker, or if leaving one out leaves no targets or no nontargets.
    """
    values, place = np.unique(scores, return_inverse=True)
    # Number of trials below each threshold: values[0], values[1], …, above all.
    below = [np.append(0, np.cumsum(np.bincount(place[kind], minlength=len(values)))) for kind in (target, ~target)]
    whole = _crossing(below, [np.empty(0, dtype=int)] * 2)
    speakers, left = np.unique(np.concatenate([first, second])), []
    if len(speakers) < 2:
        return None
    trials_of = _trials_of(first, second, speakers)
    for own in trials_of:
        removed = [np.sort(place[own[kind[own]]]) for kind in (target, ~target)]
        if any(len(own_scores) == counts[-1] for own_scores, counts in zip(removed, below)):
            return None
        left.append(_crossing(below, removed))
    number = len(speakers)
    variance = (number - 1) / number * ((np.array(left) - whole) ** 2).sum()
    estimate = Variance(np.array([whole]), np.array([variance]), np.array([number - 1.0]))
    low, high = score_interval(estimate, np.array([min(counts[-1] for counts in below)]))
    return float(low[0]), float(high[0])


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


def min_dcf(targets: np.ndarray, nontargets: np.ndarray, p_target: float) -> float:
    """Minimum detection cost over all thresholds, with C_miss = C_fa = 1.

    Normalised, as by NIST and Kaldi, by the cost of the better of accepting all and rejecting all trials, so at most 1.

    Args:
        targets: (targets,) scores.
        nontargets: (nontargets,) scores.
        p_target: prior probability of a target.

    Source: NIST SRE 2016 evaluation plan, section 3.1; Kaldi's sid/compute_min_dcf.py.
    """
    miss, false_alarm = error_rates(targets, nontargets)
    cost = p_target * miss + (1 - p_target) * false_alarm
    return float(cost.min() / min(p_target, 1 - p_target))
