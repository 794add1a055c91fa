"""Speaker verification: equal error rate, detection costs and Cllr of scored trials.

A trial is accepted if its score is at or above the threshold, so tied scores are accepted or rejected together (breaking ties
would give a constant score a perfect EER). The ROC is interpolated linearly between neighbouring thresholds; the EER is where
it crosses P_miss = P_fa. The EER of the ROC convex hull would be lower, because it is optimised on the test set.

>>> eer([3.0, 2.0, 0.5], [1.0, 0.0, -1.0])  # one of three targets below one of three nontargets
0.3333333333333333
>>> min_dcf([3.0, 2.0, 0.5], [1.0, 0.0, -1.0], p_target=0.5)
0.3333333333333333
>>> cllr([0.0], [0.0])  # log-likelihood ratios that say nothing cost one bit
1.0
"""

import numpy as np
from scipy.optimize import isotonic_regression


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


def act_dcf(targets: np.ndarray, nontargets: np.ndarray, p_target: float) -> float:
    """Detection cost of log-likelihood ratios at Bayes' threshold, log((1 - p_target) / p_target); normalised as min_dcf.

    It can exceed 1: miscalibrated decisions are worse than none.

    Args:
        targets: (targets,) natural log-likelihood ratios.
        nontargets: (nontargets,) natural log-likelihood ratios.
        p_target: prior probability of a target.

    >>> act_dcf([3.0, 2.0, -0.5], [1.0, -1.0, -2.0], p_target=0.5)  # threshold 0: one of three wrong on either side
    0.6666666666666666
    """
    threshold = np.log((1 - p_target) / p_target)
    miss = np.mean(np.asarray(targets) < threshold)
    false_alarm = np.mean(np.asarray(nontargets) >= threshold)
    return float((p_target * miss + (1 - p_target) * false_alarm) / min(p_target, 1 - p_target))


def bits(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Cost of each log-likelihood ratio in bits, (trials,): log2(1 + exp(-score)) of a target, log2(1 + exp(score)) else."""
    return np.logaddexp(0, np.where(target, -scores, scores)) / np.log(2)


def cllr(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """Cllr in bits: mean cost of log-likelihood ratios over all priors; 1 for ratios that are always 0.

    Args:
        targets: (targets,) natural log-likelihood ratios.
        nontargets: (nontargets,) natural log-likelihood ratios.

    Source: Brümmer and du Preez 2006, "Application-independent evaluation of speaker detection".
    """
    return float((bits(np.asarray(targets), True).mean() + bits(np.asarray(nontargets), False).mean()) / 2)


def min_cllr(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """Cllr after the best rising map of the scores (pool adjacent violators): the loss that no calibration can remove.

    Args:
        targets: (targets,) scores.
        nontargets: (nontargets,) scores.

    Source: as cllr.
    """
    scores = np.concatenate([targets, nontargets])
    place = np.unique(scores, return_inverse=True)[1]
    # Ties share a log-likelihood ratio; each kind of trial has total weight 1, a prior of 1/2.
    hits, misses = np.bincount(place[: len(targets)], minlength=place.max() + 1), np.bincount(place[len(targets) :])
    hits = hits / len(targets)
    misses = np.append(misses, np.zeros(len(hits) - len(misses))) / len(nontargets)
    posterior = isotonic_regression(hits / (hits + misses), weights=hits + misses).x
    with np.errstate(divide="ignore"):
        cost = -np.log2(posterior), -np.log2(1 - posterior)
    # A posterior of 0 or 1 is wrong for none of its trials.
    return float(sum(part[part > 0] @ bit[part > 0] for part, bit in zip((hits, misses), cost)) / 2)
