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


def min_dcf(targets: np.ndarray, nontargets: np.ndarray, p_target: float) -> float:
    """Lowest detection cost over all thresholds, with C_miss = C_fa = 1, normalised as NIST and Kaldi do:
    by the cost of the better of accepting everything and refusing everything, so never above 1.

    Source: NIST SRE 2016 evaluation plan, section 3.1; Kaldi's sid/compute_min_dcf.py.
    """
    miss, false_alarm = error_rates(targets, nontargets)
    cost = p_target * miss + (1 - p_target) * false_alarm
    return float(cost.min() / min(p_target, 1 - p_target))
