"""Calibration of posteriors: reliability diagram, expected calibration error, temperature scaling, accuracy by coverage.

Confidence is the highest posterior of a segment. The expected calibration error (ECE) compares it with the accuracy in bins
of confidence. Each fold's temperature is fitted by maximum likelihood on the other folds, never on its own labels.

With few segments per bin, even perfectly calibrated posteriors have an ECE above 0. Hence two companions: the floor, which is
the ECE of the same posteriors with labels sampled from them, and an estimate corrected for the bias of the bins.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks"; Bröcker and Smith 2007, "Increasing the Reliability of
Reliability Diagrams" (consistency resampling, used for the floor); Kumar, Liang and Ma 2019, "Verified Uncertainty Calibration",
and its package `uncertainty-calibration` (the bias of the plug-in estimate under normal bin means); Brier 1950.

>>> posteriors = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
>>> round(calibration_error(reliability(posteriors, np.array([0, 1, 1, 1]), bins=5)), 3)  # (2*0.4 + 0.4 + 0.2) / 4
0.35
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

# Stands in for a posterior of 0 in logarithms: float32's smallest normal number.
_FLOOR = float(np.finfo(np.float32).tiny)
# Bins with more segments than this use the normal approximation of the binomial.
_MANY = 1000


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: segments with confidence in (low, high]; means are NaN for an empty bin."""

    low: float
    high: float
    segments: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Coverage:
    """Coverage and accuracy (WA) of the segments with confidence at or above `threshold`, all as fractions."""

    coverage: float
    threshold: float
    wa: float


def reliability(posteriors: np.ndarray, truth: np.ndarray, bins: int = 15) -> list[Bin]:
    """The bins of a reliability diagram, of equal width over the confidence.

    Args:
        posteriors: (segments, classes).
        truth: (segments,) class indices.
        bins: number of bins over 0 to 1.
    """
    confidence, right = posteriors.max(axis=1), posteriors.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    index = _bin_of(confidence, bins)
    result = []
    for k in range(bins):
        here = index == k
        means = (confidence[here].mean(), right[here].mean()) if here.any() else (np.nan, np.nan)
        result.append(Bin(float(edges[k]), float(edges[k + 1]), int(here.sum()), *map(float, means)))
    return result


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean |accuracy - confidence| over the bins, weighted by segments."""
    total = sum(b.segments for b in bins)
    return sum(b.segments * abs(b.accuracy - b.confidence) for b in bins if b.segments) / total


@dataclass(frozen=True)
class Floor:
    """Mean and 95th percentile of the ECE under perfect calibration."""

    mean: float
    high: float


def calibration_floor(posteriors: np.ndarray, bins: int = 15, draws: int = 1000, seed: int = 0) -> Floor:
    """ECE of perfectly calibrated posteriors with the same confidences, by consistency resampling.

    Args:
        posteriors: (segments, classes).
        bins: number of bins over 0 to 1.
        draws: number of simulated label sets.
        seed: random seed.
    """
    confidence = posteriors.max(axis=1).astype(np.float64)
    counts = np.bincount(_bin_of(confidence, bins), minlength=bins)
    rng = np.random.default_rng(seed)
    members = [confidence[_bin_of(confidence, bins) == k] for k in range(bins) if counts[k]]
    errors = sum(np.abs(_drawn_hits(rng, sure, draws) - sure.sum()) for sure in members)
    errors = errors / len(confidence)
    return Floor(float(errors.mean()), float(np.quantile(errors, 0.95)))


def _drawn_hits(rng: np.random.Generator, sure: np.ndarray, draws: int) -> np.ndarray:
    """Correct segments of a bin in each draw, (draws,), given their confidences `sure`."""
    if len(sure) > _MANY:
        return rng.normal(sure.sum(), np.sqrt((sure * (1 - sure)).sum()), draws)
    return (rng.random((draws, len(sure))) < sure).sum(axis=1)


def corrected_error(bins: list[Bin]) -> float:
    """ECE corrected for the bias that sampling noise of the bins' accuracies adds to it, at least 0.

    The accuracy a of n segments is treated as normal with variance a (1 - a) / n, so that the expected gap is the mean of a
    folded normal distribution.
    """
    filled = [b for b in bins if b.segments]
    number, accuracy = (np.array([getattr(b, name) for b in filled]) for name in ("segments", "accuracy"))
    gap = np.abs(accuracy - [b.confidence for b in filled])
    deviation = np.sqrt(accuracy * (1 - accuracy) / number)
    ratio = np.divide(gap, deviation, out=np.full(len(filled), np.inf), where=deviation > 0)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
    return max(0.0, float((number * (2 * gap - folded)).sum() / number.sum()))


def brier_score(posteriors: np.ndarray, truth: np.ndarray) -> float:
    """Brier score, 0 to 2: squared error of the posteriors, summed over classes, averaged over segments.

    >>> brier_score(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1]))  # (0.04 + 0.04 + 0.25 + 0.25) / 2
    0.29
    """
    one_hot = np.arange(posteriors.shape[1]) == np.asarray(truth)[:, None]
    return round(float(((posteriors - one_hot) ** 2).sum(axis=1).mean()), 15)


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Index of each segment's bin, (segments,)."""
    return np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="left") - 1, 0, bins - 1)


def log_loss(posteriors: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log posterior of the true class, in nats."""
    return float(-np.log(np.maximum(posteriors[np.arange(len(truth)), truth], _FLOOR)).mean())


def tempered(posteriors: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Temperature scaling: softmax(log p / T).

    Args:
        posteriors: (segments, classes).
        temperature: T, one number or (segments, 1); above 1 flattens, below 1 sharpens.

    Shape:
        - Output: (segments, classes)
    """
    logs = np.log(np.maximum(posteriors, _FLOOR, dtype=np.float64)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(posteriors: np.ndarray, truth: np.ndarray) -> float:
    """Maximum-likelihood temperature, between 0.01 and 100.

    The loss is convex in 1/T, so its derivative (mean expected minus mean true log posterior) has one root: bisection.
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
    """Temperature of each fold, fitted on the other folds; `fold` (segments,) must have two values or more."""
    return {int(n): fit_temperature(posteriors[fold != n], truth[fold != n]) for n in np.unique(fold)}


def coverage_curve(posteriors: np.ndarray, truth: np.ndarray, parts: int = 10) -> list[Coverage]:
    """Accuracy of the most confident 1/parts, 2/parts, … of the segments.

    Segments tied at the threshold are included, so the coverage can exceed the requested one.
    """
    confidence, right = posteriors.max(axis=1), posteriors.argmax(axis=1) == truth
    falling = np.sort(confidence)[::-1]
    curve = []
    for part in range(1, parts + 1):
        threshold = falling[max(1, round(len(falling) * part / parts)) - 1]
        answered = confidence >= threshold
        curve.append(Coverage(float(answered.mean()), float(threshold), float(right[answered].mean())))
    return curve
