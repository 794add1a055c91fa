"""Everything about one system, as the plain JSON of results.json.

Accuracies are parts of 1; what does not exist (the recall of an absent class, the deviation of one fold) is null.
docs/results.md documents every field.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

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
from sertk.scoring.intervals import Intervals, cluster_intervals, joined, plain_intervals

# A map of numbers with more different values than this measures something; with fewer it names speakers or sessions.
_MOST_NAMES = 50
# The measures that have a mean over folds, a deviation and an interval.
MEASURES = ("wa", "ua", "macro_f1")


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
    """Everything about one system, as plain JSON (docs/results.md).

    clusters and breakdowns: a map's name to each segment's value in it; the first of `clusters` is what the headline's
    interval is of. method, seed: of the intervals by clusters.

    Shape:
        - truth, fold: (segments,) integers; posteriors: (segments, classes), or (runs, segments, classes) of several
          training runs, whose figures are means over the runs
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
    intervals["segment"] = plain_intervals(counts, number)
    by = next(iter(clusters.values()), None)
    return {
        "labels": list(labels),
        "segments": len(truth),
        "mean": dict(zip(MEASURES, scores.mean())),
        "deviation": dict(zip(MEASURES, map(_number, scores.deviation()))),
        "pooled": _accuracy(scores.pooled, labels, number),
        "folds": {str(n): _accuracy(found, labels, number) for n, found in scores.folds.items()},
        "runs": _runs(truth, guess, fold, len(labels)),
        "baselines": _baselines(truth, labels),
        "confusion": {"counts": counts.tolist(), "rows": [[_number(x) for x in row] for row in row_normalised(counts)]},
        "method": method,
        "unit": next(iter(intervals)),
        "intervals": {name: _interval(found, labels) for name, found in intervals.items()},
        "calibration": _calibration(flat, flat_truth, flat_fold),
        "coverage": [asdict(point) for point in coverage_curve(flat, flat_truth)],
        "by": {name: breakdown(truth, guess, v, labels, by, fold) for name, v in (breakdowns or {}).items()},
    }


def _accuracy(found: Accuracy, labels, runs: int = 1) -> dict:
    each = {name: dict(zip(labels, map(_number, getattr(found, name)))) for name in ("recalls", "precisions")}
    return {"segments": found.segments // runs, **{name: _number(getattr(found, name)) for name in MEASURES}, **each}


def _interval(found: Intervals, labels) -> dict:
    each = {
        name: {label: list(map(_number, ends)) for label, ends in zip(labels, getattr(found, name))}
        for name in ("recalls", "precisions")
    }
    ends = {name: list(map(_number, getattr(found, name))) for name in MEASURES}
    return {"clusters": found.clusters, "units": found.units, **ends, **each}


def _runs(truth: np.ndarray, guess: np.ndarray, fold: np.ndarray, num_classes: int) -> dict:
    """Means over the folds of each training run, and their deviation over the runs."""
    means = [score_folds(truth, one, fold, num_classes).mean() for one in guess]
    deviation = np.std(means, axis=0, ddof=1) if len(means) > 1 else [math.nan] * len(MEASURES)
    each = {name: [mean[k] for mean in means] for k, name in enumerate(MEASURES)}
    return {"number": len(guess), **each, "deviation": dict(zip(MEASURES, map(_number, deviation)))}


def _baselines(truth: np.ndarray, labels: Sequence[str]) -> dict:
    """What needs no network: always the most frequent class, and a guess at random, each class as often."""
    there = np.bincount(truth, minlength=len(labels))
    most = int(there.argmax())
    found = Accuracy.of(confusion(truth, np.full(len(truth), most), len(labels)))
    majority = {"label": labels[most], **{name: _number(getattr(found, name)) for name in MEASURES}}
    return {"majority": majority, "chance": {"wa": 1 / len(labels), "ua": 1 / len(labels)}}


def _calibration(posteriors, truth, fold) -> dict:
    found = {"as_it_is": _calibrated(posteriors, truth)}
    if len(np.unique(fold)) > 1:
        fitted = temperatures(posteriors, truth, fold)
        column = np.array([fitted[int(n)] for n in fold])[:, None]
        found["temperatures"] = {str(n): value for n, value in fitted.items()}
        found["tempered"] = _calibrated(tempered(posteriors, column), truth)
    return found


def _calibrated(posteriors, truth) -> dict:
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
    """The measures of the segments of each value, plain JSON, with `interval` where two units or more have it.

    values: each segment's, as ranges where it measures; clusters: each segment's speaker, where it is known.

    Shape:
        - truth: (segments,), guess: (segments,) or (runs, segments)
    """
    guess = np.atleast_2d(guess)
    names, index = np.unique(np.asarray(_ranges(values)), return_inverse=True)
    found = {}
    for n, name in enumerate(names):
        here = index == n
        counts = sum(confusion(truth[here], one[here], len(labels)) for one in guess)
        part = _accuracy(Accuracy.of(counts), labels, len(guess))
        part["interval"] = _part_interval(truth[here], guess[:, here], clusters, fold, here, len(labels))
        found[str(name)] = part
    return found


def _part_interval(truth, guess, clusters, fold, here, num_classes) -> dict | None:
    if clusters is None:
        return None
    clusters, fold = np.asarray(clusters)[here], None if fold is None else fold[here]
    if len(np.unique(joined(clusters, fold)[0])) < 2:
        return None
    ends = cluster_intervals(truth, guess, clusters, num_classes, fold)
    return {"clusters": ends.clusters, "units": ends.units,
            **{name: list(map(_number, getattr(ends, name))) for name in MEASURES}}  # fmt: skip


def _ranges(values: Sequence[str]) -> Sequence[str]:
    """Numbers (utt2dur) as the four ranges that hold a quarter of them each; names, and names that are numbers, stay."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return values
    if len(set(values)) <= _MOST_NAMES or not np.isfinite(numbers).all():
        return values
    ends = np.quantile(numbers, [0.25, 0.5, 0.75, 1], method="higher")
    return [f"{k + 1}: up to {ends[k]:g}" for k in np.searchsorted(ends, numbers)]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value if isinstance(value, int) else float(value)
