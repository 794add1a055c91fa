"""Speaker verification: equal error rate and minimum detection cost of scored trials.

A threshold accepts the trials whose score is at or above it, so tied scores are accepted or refused together
(sorting them apart would give a system that answers one constant a perfect score). Between two neighbouring
thresholds the error rates are joined by a straight line, as with an interpolated ROC; the EER is where that
line crosses P_miss = P_fa. The convex hull would be lower still, by choosing thresholds on the test itself.

>>> eer([3.0, 2.0, 0.5], [1.0, 0.0, -1.0])  # one of three targets below one of three nontargets
0.3333333333333333
>>> min_dcf([3.0, 2.0, 0.5], [1.0, 0.0, -1.0], p_target=0.5)
0.3333333333333333
"""

import numpy as np

from sertk.scoring.intervals import Ends, Variance, score_interval


def error_rates(targets: np.ndarray, nontargets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P_miss, P_fa) at every threshold: below all scores, at each distinct score upwards, above all.

    Both (distinct scores + 1,): P_miss rises from 0 to 1, P_fa falls from 1 to 0.
    Raises ValueError where one of the two kinds is missing or a score is not finite.
    """
    targets, nontargets = (np.sort(np.asarray(scores, dtype=np.float64)) for scores in (targets, nontargets))
    if not targets.size or not nontargets.size:
        raise ValueError("error rates need target and nontarget scores")
    if not (np.isfinite(targets).all() and np.isfinite(nontargets).all()):
        raise ValueError("a score is not finite")
    # The threshold at the lowest score accepts everything already; the last one, above all, nothing.
    thresholds = np.append(np.unique(np.concatenate([targets, nontargets])), np.inf)
    miss = np.searchsorted(targets, thresholds, side="left") / targets.size
    false_alarm = 1 - np.searchsorted(nontargets, thresholds, side="left") / nontargets.size
    return miss, false_alarm


def eer(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """Equal error rate as a part of 1, of scores (targets,) and (nontargets,)."""
    miss, false_alarm = error_rates(targets, nontargets)
    # The difference rises from -1 to 1: the last threshold at or below 0 and the next one enclose the crossing.
    difference = miss - false_alarm
    low = int(np.flatnonzero(difference <= 0)[-1])
    step = -difference[low] / (difference[low + 1] - difference[low])
    return float(miss[low] + step * (miss[low + 1] - miss[low]))


def eer_interval(scores: np.ndarray, target: np.ndarray, first: np.ndarray, second: np.ndarray) -> Ends | None:
    """95 % interval of the EER for other speakers; None where it cannot be known.

    The jackknife leaves out one speaker with all trials that he or she is on either side of. The interval is Student's t with
    (speakers - 1) degrees of freedom on Wilson's scale, as those of accuracies. None of one speaker, and where what is left
    lacks one kind of trials.

    Shape:
        - scores: (trials,); target: (trials,) bool; first, second: (trials,) the speakers' numbers
    """
    values, place = np.unique(scores, return_inverse=True)
    # Of trials below each threshold: values[0], values[1], …, above all.
    below = [np.append(0, np.cumsum(np.bincount(place[kind], minlength=len(values)))) for kind in (target, ~target)]
    whole = _crossing(below, [np.empty(0, dtype=int)] * 2)
    speakers, left = np.unique(np.concatenate([first, second])), []
    if len(speakers) < 2:
        return None
    trials_of = _trials_of(first, second, speakers)
    for own in trials_of:
        mine = [np.sort(place[own[kind[own]]]) for kind in (target, ~target)]
        if any(len(gone) == counts[-1] for gone, counts in zip(mine, below)):
            return None
        left.append(_crossing(below, mine))
    number = len(speakers)
    variance = (number - 1) / number * ((np.array(left) - whole) ** 2).sum()
    found = Variance(np.array([whole]), np.array([variance]), np.array([number - 1.0]))
    low, high = score_interval(found, np.array([min(counts[-1] for counts in below)]))
    return float(low[0]), float(high[0])


def _trials_of(first: np.ndarray, second: np.ndarray, speakers: np.ndarray) -> list[np.ndarray]:
    """The trials that each speaker is on either side of, once each."""
    trials = np.arange(len(first))
    apart = first != second
    whose = np.concatenate([first, second[apart]])
    which = np.concatenate([trials, trials[apart]])[np.argsort(whose, kind="stable")]
    return np.split(which, np.searchsorted(np.sort(whose), speakers[1:]))


def _crossing(below: list[np.ndarray], gone: list[np.ndarray]) -> float:
    """The EER without the trials whose thresholds are `gone` (sorted), by bisection over all thresholds.

    below: of targets and of nontargets, how many are below each threshold, (thresholds + 1,).
    """
    totals = [counts[-1] - len(own) for counts, own in zip(below, gone)]

    def rates(k: int) -> tuple[float, float]:
        miss, refused = (
            (counts[k] - np.searchsorted(own, k)) / total for counts, own, total in zip(below, gone, totals)
        )
        return miss, 1 - refused

    low, high = 0, len(below[0]) - 1  # nothing is refused, everything
    while high - low > 1:
        middle = (low + high) // 2
        miss, false_alarm = rates(middle)
        low, high = (middle, high) if miss <= false_alarm else (low, middle)
    (miss, false_alarm), (next_miss, next_false_alarm) = rates(low), rates(high)
    step = (false_alarm - miss) / (next_miss - next_false_alarm - miss + false_alarm)
    return float(miss + step * (next_miss - miss))


def min_dcf(targets: np.ndarray, nontargets: np.ndarray, p_target: float) -> float:
    """Lowest detection cost over all thresholds, with C_miss = C_fa = 1, normalised as NIST and Kaldi do:
    by the cost of the better of accepting everything and refusing everything, so never above 1.

    Source: NIST SRE 2016 evaluation plan, section 3.1; Kaldi's sid/compute_min_dcf.py.
    """
    miss, false_alarm = error_rates(targets, nontargets)
    cost = p_target * miss + (1 - p_target) * false_alarm
    return float(cost.min() / min(p_target, 1 - p_target))
