"""Calibration of posteriors, and accuracy where only the most confident segments are answered.

Confidence is the highest posterior of a segment. The expected calibration error compares it with the accuracy,
bin by bin. A temperature is fitted by the likelihood on the segments of the other folds alone, so that no fold's
labels calibrate themselves.

A calibration error is above 0 for perfectly calibrated posteriors too, by the fewness of the segments in a bin. So it
stands beside its floor, the error of posteriors like these whose labels are drawn from themselves, and beside an
estimate with the bias of the bins taken off.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks"; Bröcker and Smith 2007, "Increasing the Reliability of
Reliability Diagrams" (consistency resampling: the floor); Kumar, Liang and Ma 2019, "Verified Uncertainty Calibration",
and its package `uncertainty-calibration` (the bias of the plug-in estimate under normal bin means); Brier 1950.

>>> posteriors = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
>>> round(calibration_error(reliability(posteriors, np.array([0, 1, 1, 1]), bins=5)), 3)  # (2*0.4 + 0.4 + 0.2) / 4
0.35
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

# log of a posterior that is stored as 0: float32's smallest normal number.
_FLOOR = float(np.finfo(np.float32).tiny)
# Bins of more segments than this are simulated by the normal distribution.
_MANY = 1000


@dataclass(frozen=True)
class Bin:
    """The segments whose confidence is in (low, high]; confidence and accuracy are NaN where there is none."""

    low: float
    high: float
    segments: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Coverage:
    """Accuracy where the model answers only at or above `threshold`; all parts of 1."""

    coverage: float
    threshold: float
    wa: float


def reliability(posteriors: np.ndarray, truth: np.ndarray, bins: int = 15) -> list[Bin]:
    """Bins of equal width over the confidence; posteriors (segments, classes), truth (segments,)."""
    confidence, right = posteriors.max(axis=1), posteriors.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    index = _bin_of(confidence, bins)
    found = []
    for k in range(bins):
        here = index == k
        means = (confidence[here].mean(), right[here].mean()) if here.any() else (np.nan, np.nan)
        found.append(Bin(float(edges[k]), float(edges[k + 1]), int(here.sum()), *map(float, means)))
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: |accuracy - confidence| of the bins, weighted by their segments."""
    total = sum(b.segments for b in bins)
    return sum(b.segments * abs(b.accuracy - b.confidence) for b in bins if b.segments) / total


@dataclass(frozen=True)
class Floor:
    """The calibration error that perfectly calibrated posteriors of these confidences have: mean, and 95th percentile."""

    mean: float
    high: float


def calibration_floor(posteriors: np.ndarray, bins: int = 15, draws: int = 1000, seed: int = 0) -> Floor:
    """The floor by `draws` simulated sets of right and wrong answers; posteriors (segments, classes)."""
    confidence = posteriors.max(axis=1).astype(np.float64)
    counts = np.bincount(_bin_of(confidence, bins), minlength=bins)
    rng = np.random.default_rng(seed)
    members = [confidence[_bin_of(confidence, bins) == k] for k in range(bins) if counts[k]]
    errors = sum(np.abs(_drawn_hits(rng, sure, draws) - sure.sum()) for sure in members)
    errors = errors / len(confidence)
    return Floor(float(errors.mean()), float(np.quantile(errors, 0.95)))


def _drawn_hits(rng: np.random.Generator, sure: np.ndarray, draws: int) -> np.ndarray:
    """How many of a bin's answers are right in each draw, (draws,); of many segments by the normal distribution."""
    if len(sure) > _MANY:
        return rng.normal(sure.sum(), np.sqrt((sure * (1 - sure)).sum()), draws)
    return (rng.random((draws, len(sure))) < sure).sum(axis=1)


def corrected_error(bins: list[Bin]) -> float:
    """The calibration error less what the noise of the bins' accuracies is expected to add to it, never below 0.

    An accuracy of n segments is taken as normal with variance a (1 - a) / n: the mean of |x| is known in closed form.
    """
    there = [b for b in bins if b.segments]
    number, accuracy = (np.array([getattr(b, name) for b in there]) for name in ("segments", "accuracy"))
    gap = np.abs(accuracy - [b.confidence for b in there])
    deviation = np.sqrt(accuracy * (1 - accuracy) / number)
    ratio = np.divide(gap, deviation, out=np.full(len(there), np.inf), where=deviation > 0)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
    return max(0.0, float((number * (2 * gap - folded)).sum() / number.sum()))


def brier_score(posteriors: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the segments of the squared distance between posteriors and truth, summed over the classes: 0 to 2.

    >>> brier_score(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1]))  # (0.04 + 0.04 + 0.25 + 0.25) / 2
    0.29
    """
    wanted = np.arange(posteriors.shape[1]) == np.asarray(truth)[:, None]
    return round(float(((posteriors - wanted) ** 2).sum(axis=1).mean()), 15)


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="left") - 1, 0, bins - 1)


def log_loss(posteriors: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative natural log of the true class's posterior."""
    return float(-np.log(np.maximum(posteriors[np.arange(len(truth)), truth], _FLOOR)).mean())


def tempered(posteriors: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """softmax(log p / T): T above 1 flattens, below 1 sharpens; T a number or (segments, 1)."""
    logs = np.log(np.maximum(posteriors, _FLOOR, dtype=np.float64)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(posteriors: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the highest likelihood, between 0.01 and 100.

    The loss is convex in 1/T, so its slope there (mean expected minus mean true log posterior) crosses zero once.
    """
    logs = np.log(np.maximum(posteriors, _FLOOR, dtype=np.float64))
    true = logs[np.arange(len(truth)), truth].mean()
    low, high = np.log(0.01), np.log(100.0)  # of 1/T
    for _ in range(60):
        middle = (low + high) / 2
        slope = (tempered(posteriors, np.exp(-middle)) * logs).sum(axis=1).mean() - true
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def temperatures(posteriors: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> dict[int, float]:
    """Each fold's temperature, fitted on the other folds only; fold (segments,) has two values or more."""
    return {int(n): fit_temperature(posteriors[fold != n], truth[fold != n]) for n in np.unique(fold)}


def coverage_curve(posteriors: np.ndarray, truth: np.ndarray, parts: int = 10) -> list[Coverage]:
    """Accuracy over the 1/parts, 2/parts, … most confident segments.

    Segments tied with the last one are answered too, so a coverage can be above what was asked for.
    """
    confidence, right = posteriors.max(axis=1), posteriors.argmax(axis=1) == truth
    falling = np.sort(confidence)[::-1]
    curve = []
    for part in range(1, parts + 1):
        threshold = falling[max(1, round(len(falling) * part / parts)) - 1]
        answered = confidence >= threshold
        curve.append(Coverage(float(answered.mean()), float(threshold), float(right[answered].mean())))
    return curve
