"""Do posteriors mean what they say, and what is gained by answering only where they are sure?

Confidence is the highest posterior of a segment. The expected calibration error compares it with the accuracy,
bin by bin. A temperature is fitted by the likelihood on the segments of the other folds alone, so that no fold's
labels calibrate themselves.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

>>> posteriors = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
>>> round(calibration_error(reliability(posteriors, np.array([0, 1, 1, 1]), bins=5)), 3)  # (2*0.4 + 0.4 + 0.2) / 4
0.35
"""

from dataclasses import dataclass

import numpy as np

# log of a posterior that is stored as 0: float32's smallest normal number.
_FLOOR = float(np.finfo(np.float32).tiny)


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
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
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
