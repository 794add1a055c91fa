"""Evaluation of one system, as the plain JSON of results.json.

Accuracies are fractions; undefined values (recall of an absent class, deviation of one fold) are null. docs/results.md
documents every field.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from sertk.errors import SertkError
from sertk.scoring.calibration import (
    brier_score,
    calibration_error,
    calibration_floor,
    corrected_error,
    coverage_curve,
    log_loss,
    reliability,
    temperatures,
    tempered,
)
from sertk.scoring.emotion import Accuracy, confusion, row_normalised, score_folds
from sertk.scoring.fairness import gaps
from sertk.scoring.intervals import Intervals, cluster_intervals, plain_intervals
from sertk.scoring.variance import joined

# A numeric map with more different values is a measurement, split into quartiles; with fewer, the numbers are names.
_MOST_NAMES = 50
# Measures with a mean over folds, a standard deviation and an interval.
MEASURES = ("wa", "ua", "macro_f1")


def check_current(
    results: Mapping[str, Any], where: object, truth: np.ndarray, guess: np.ndarray, labels: Sequence[str]
) -> None:
    """Check that results are of the labels and scores that there are now, by their confusion matrix.

    Args:
        results: results.json.
        where: the file, for the message.
        truth: (segments,) class indices.
        guess: (runs, segments) class indices.
        labels: class names.

    Raises:
        SertkError: they are not.
    """
    counts = sum(confusion(truth, one, len(labels)) for one in guess).tolist()
    if results["labels"] != list(labels) or results["confusion"]["counts"] != counts:
        raise SertkError(f"{where}: does not match the current scores and folds: run score-loso again")


def evaluate(
    truth: np.ndarray,
    posteriors: np.ndarray,
    fold: np.ndarray,
    labels: Sequence[str],
    clusters: Mapping[str, Sequence[str]] | None = None,
    breakdowns: Mapping[str, Sequence[str]] | None = None,
    method: str = "jackknife",
    seed: int = 0,
) -> dict:
    """All results of one system.

    Args:
        truth: (segments,) class indices.
        posteriors: (segments, classes), or (runs, segments, classes); figures are means over runs.
        fold: (segments,) fold numbers.
        labels: class names.
        clusters: name of a map -> cluster of each segment; the first one gives the interval of the headline.
        breakdowns: name of a map -> value of each segment.
        method: "jackknife" or "bootstrap", for the intervals by cluster.
        seed: random seed of the bootstrap and of permutations.

    Returns:
        plain JSON (docs/results.md).
    """
    posteriors = posteriors if posteriors.ndim == 3 else posteriors[None]
    guess, number = posteriors.argmax(axis=2), len(posteriors)
    flat, flat_truth, flat_fold = posteriors.reshape(-1, len(labels)), np.tile(truth, number), np.tile(fold, number)
    scores = score_folds(flat_truth, guess.ravel(), flat_fold, len(labels))
    counts = scores.pooled_counts
    clusters = dict(clusters or {})
    intervals = {
        name: cluster_intervals(truth, guess, values, len(labels), fold, method, seed=seed)
        for name, values in clusters.items()
    }
    intervals["segment"] = plain_intervals(truth, guess, len(labels))
    by = next(iter(clusters.values()), None)
    return {
        "labels": list(labels),
        "segments": len(truth),
        "mean": dict(zip(MEASURES, scores.mean())),
        "deviation": dict(zip(MEASURES, map(_number, scores.deviation()))),
        "pooled": _accuracy(scores.pooled, labels, number),
        "folds": {str(n): _accuracy(accuracy, labels, number) for n, accuracy in scores.folds.items()},
        "runs": _runs(truth, guess, fold, len(labels)),
        "baselines": _baselines(truth, labels),
        "confusion": {"counts": counts.tolist(), "rows": [[_number(x) for x in row] for row in row_normalised(counts)]},
        "method": method,
        "unit": next(iter(intervals)),
        "intervals": {name: _interval(ends, labels) for name, ends in intervals.items()},
        "calibration": _calibration(flat, flat_truth, flat_fold),
        "coverage": [asdict(point) for point in coverage_curve(flat, flat_truth)],
        "by": {name: breakdown(truth, guess, v, labels, by, fold) for name, v in (breakdowns or {}).items()},
        "gaps": gaps(truth, guess, clusters["utt2spk"], breakdowns or {}, labels, seed=seed)
        if "utt2spk" in clusters
        else {},
    }


def _accuracy(accuracy: Accuracy, labels: Sequence[str], runs: int = 1) -> dict:
    """Plain JSON of an accuracy; segments are counted once for all `runs`."""
    each = {name: dict(zip(labels, map(_number, getattr(accuracy, name)))) for name in ("recalls", "precisions")}
    return {
        "segments": accuracy.segments // runs,
        **{name: _number(getattr(accuracy, name)) for name in MEASURES},
        **each,
    }


def _interval(intervals: Intervals, labels: Sequence[str]) -> dict:
    """Plain JSON of intervals."""
    each = {
        name: {label: list(map(_number, ends)) for label, ends in zip(labels, getattr(intervals, name))}
        for name in ("recalls", "precisions")
    }
    ends = {name: list(map(_number, getattr(intervals, name))) for name in MEASURES}
    return {"clusters": intervals.clusters, "units": intervals.units, **ends, **each}


def _runs(truth: np.ndarray, guess: np.ndarray, fold: np.ndarray, num_classes: int) -> dict:
    """Means over folds of each training run, and their standard deviation over runs."""
    means = [score_folds(truth, one, fold, num_classes).mean() for one in guess]
    deviation = np.std(means, axis=0, ddof=1) if len(means) > 1 else [math.nan] * len(MEASURES)
    each = {name: [mean[k] for mean in means] for k, name in enumerate(MEASURES)}
    return {"number": len(guess), **each, "deviation": dict(zip(MEASURES, map(_number, deviation)))}


def _baselines(truth: np.ndarray, labels: Sequence[str]) -> dict:
    """Trivial baselines: always the majority class, and uniform random guessing."""
    counts = np.bincount(truth, minlength=len(labels))
    most = int(counts.argmax())
    accuracy = Accuracy.of(confusion(truth, np.full(len(truth), most), len(labels)))
    majority = {"label": labels[most], **{name: _number(getattr(accuracy, name)) for name in MEASURES}}
    return {"majority": majority, "chance": {"wa": 1 / len(labels), "ua": 1 / len(labels)}}


def _calibration(posteriors: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> dict:
    """Calibration of raw posteriors and, with two folds or more, after temperature scaling."""
    calibration = {"as_it_is": _calibrated(posteriors, truth)}
    if len(np.unique(fold)) > 1:
        fitted = temperatures(posteriors, truth, fold)
        column = np.array([fitted[int(n)] for n in fold])[:, None]
        calibration["temperatures"] = {str(n): value for n, value in fitted.items()}
        calibration["tempered"] = _calibrated(tempered(posteriors, column), truth)
    return calibration


def _calibrated(posteriors: np.ndarray, truth: np.ndarray) -> dict:
    """Calibration measures of one set of posteriors."""
    bins = reliability(posteriors, truth)
    rows = [{name: _number(value) for name, value in asdict(b).items()} for b in bins]
    floor = calibration_floor(posteriors)
    return {
        "error": calibration_error(bins),
        "floor": {"mean": floor.mean, "high": floor.high},
        "corrected": corrected_error(bins),
        "log_loss": log_loss(posteriors, truth),
        "brier": brier_score(posteriors, truth),
        "bins": rows,
    }


def breakdown(
    truth: np.ndarray,
    guess: np.ndarray,
    values: Sequence[str],
    labels: Sequence[str],
    clusters: Sequence[str] | None = None,
    fold: np.ndarray | None = None,
) -> dict:
    """Accuracies by group.

    Args:
        truth: (segments,) class indices.
        guess: (segments,) or (runs, segments) predicted class indices.
        values: group of each segment; measurements are split into quartiles.
        labels: class names.
        clusters: speaker of each segment; None if unknown.
        fold: (segments,) fold numbers.

    Returns:
        group -> plain JSON, with an `interval` for groups of two units or more.
    """
    guess = np.atleast_2d(guess)
    names, index = np.unique(np.asarray(_ranges(values)), return_inverse=True)
    parts = {}
    for n, name in enumerate(names):
        members = index == n
        counts = sum(confusion(truth[members], one[members], len(labels)) for one in guess)
        part = _accuracy(Accuracy.of(counts), labels, len(guess))
        part["interval"] = _part_interval(truth[members], guess[:, members], clusters, fold, members, len(labels))
        parts[str(name)] = part
    return parts


def _part_interval(
    truth: np.ndarray,
    guess: np.ndarray,
    clusters: Sequence[str] | None,
    fold: np.ndarray | None,
    members: np.ndarray,
    num_classes: int,
) -> dict | None:
    """Intervals of the segments `members` (all segments,) bool; None for fewer than two units."""
    if clusters is None:
        return None
    clusters, fold = np.asarray(clusters)[members], None if fold is None else fold[members]
    if len(np.unique(joined(clusters, fold)[0])) < 2:
        return None
    ends = cluster_intervals(truth, guess, clusters, num_classes, fold)
    measures = {name: list(map(_number, getattr(ends, name))) for name in MEASURES}
    return {"clusters": ends.clusters, "units": ends.units, **measures}


def _ranges(values: Sequence[str]) -> Sequence[str]:
    """Measurements (utt2dur) as quartiles; names, also numeric ones, unchanged."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return values
    if len(set(values)) <= _MOST_NAMES or not np.isfinite(numbers).all():
        return values
    ends = np.quantile(numbers, [0.25, 0.5, 0.75, 1], method="higher")
    return [f"{k + 1}: up to {ends[k]:g}" for k in np.searchsorted(ends, numbers)]


def _number(value: float) -> float | None:
    """`value`, None for NaN."""
    return None if math.isnan(value) else value if isinstance(value, int) else float(value)
