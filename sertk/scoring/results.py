"""What score-loso says: plain JSON with everything, and a text as readable as a Kaldi RESULTS file.

The JSON's accuracies are parts of 1, the text's are per cent; what does not exist (the recall of an absent class,
the deviation of one fold) is null there and `-` here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from sertk.scoring.calibration import calibration_error, coverage_curve, log_loss, reliability, temperatures, tempered
from sertk.scoring.emotion import Accuracy, FoldScores, row_normalised, score_folds
from sertk.scoring.intervals import Intervals, cluster_intervals, plain_intervals
from sertk.scoring.protocol import guard_reasons

# A map of numbers with more different values than this measures something; with fewer it names speakers or sessions.
_MOST_NAMES = 50


def evaluate(
    truth: np.ndarray,
    posteriors: np.ndarray,
    fold: np.ndarray,
    labels: Sequence[str],
    clusters: Mapping[str, Sequence[str]] | None = None,
    breakdowns: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> dict:
    """Everything about one system, as plain JSON.

    truth, fold (segments,) integers; posteriors (segments, classes); clusters and breakdowns: a map's name to each
    segment's value in it.
    """
    guess = posteriors.argmax(axis=1)
    scores = score_folds(truth, guess, fold, len(labels))
    counts = scores.pooled_counts
    intervals = {"segment": plain_intervals(counts, seed=seed)}
    for name, values in (clusters or {}).items():
        intervals[name] = cluster_intervals(truth, guess, values, len(labels), seed=seed)
    return {
        "labels": list(labels),
        "segments": len(truth),
        "mean": dict(zip(("wa", "ua"), scores.mean())),
        "deviation": dict(zip(("wa", "ua"), map(_number, scores.deviation()))),
        "pooled": _accuracy(scores.pooled, labels),
        "folds": {str(n): _accuracy(found, labels) for n, found in scores.folds.items()},
        "confusion": {"counts": counts.tolist(), "rows": [[_number(x) for x in row] for row in row_normalised(counts)]},
        "intervals": {name: _interval(found, labels) for name, found in intervals.items()},
        "calibration": _calibration(posteriors, truth, fold),
        "coverage": [asdict(point) for point in coverage_curve(posteriors, truth)],
        "by": {name: breakdown(truth, guess, values, labels) for name, values in (breakdowns or {}).items()},
    }


def _accuracy(found: Accuracy, labels) -> dict:
    recalls = dict(zip(labels, map(_number, found.recalls)))
    return {"segments": found.segments, "wa": _number(found.wa), "ua": _number(found.ua), "recalls": recalls}


def _interval(found: Intervals, labels) -> dict:
    recalls = {label: [_number(end) for end in ends] for label, ends in zip(labels, found.recalls)}
    return {"clusters": found.clusters, "wa": list(found.wa), "ua": list(found.ua), "recalls": recalls}


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
    return {"error": calibration_error(bins), "log_loss": log_loss(posteriors, truth), "bins": rows}


def breakdown(truth: np.ndarray, guess: np.ndarray, values: Sequence[str], labels: Sequence[str]) -> dict:
    """The accuracies of the segments of each value, plain JSON; `values` is each segment's, ranges where it measures."""
    names, index = np.unique(np.asarray(_ranges(values)), return_inverse=True)
    parts: FoldScores = score_folds(truth, guess, index, len(labels))
    return {str(names[n]): _accuracy(found, labels) for n, found in parts.folds.items()}


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


def as_text(found: Mapping) -> str:
    """The tables of what `evaluate` found; `title` and `stamps`, where there are any, make the headline."""
    labels = found["labels"]
    mean, num_folds = found["mean"], len(found["folds"])
    what = f"mean of {num_folds} folds" if num_folds > 1 else "one fold"
    inside = ", ".join([what, f"{found['segments']} segments", *found.get("title", ())])
    head = f"%WA {_percent(mean['wa'])} %UA {_percent(mean['ua'])} [ {inside} ]"
    lines = [" ".join([head, *found.get("stamps", ())]), *guard_lines(found), ""]
    heading = ["segments", "WA", "UA", *labels]
    rows = [["fold", *heading]]
    rows += [[name, *_cells(fold, labels)] for name, fold in found["folds"].items()]
    rows.append(["mean", "", _percent(mean["wa"]), _percent(mean["ua"])])
    rows.append(["std", "", _percent(found["deviation"]["wa"]), _percent(found["deviation"]["ua"])])
    rows.append(["pooled", *_cells(found["pooled"], labels)])
    lines += _table(rows)
    scripts = found.get("scripts", {}).values()
    if scripted := sum(fold["scripted"] for fold in scripts):
        shared = _percent(sum(fold["shared"] for fold in scripts) / scripted)
        lines += ["", f"{scripted} scripted segments, of which the training has the script too: {shared} %"]
    lines += ["", "95 % intervals of the pooled figures, with what is drawn and how many there are"]
    rows = [["drawn", "number", "WA", "UA", *labels]]
    for name, ends in found["intervals"].items():
        pairs = [ends["wa"], ends["ua"], *ends["recalls"].values()]
        rows.append([name, str(ends["clusters"]), *(f"{_percent(low)}-{_percent(high)}" for low, high in pairs)])
    lines += _table(rows)
    lines += ["", "confusion, summed over the folds: rows the truth, columns what was recognised"]
    lines += _table([["", *labels]] + [[a, *map(str, row)] for a, row in zip(labels, found["confusion"]["counts"])])
    lines += ["", "the same in % of each row"]
    lines += _table([["", *labels]] + [[a, *map(_percent, row)] for a, row in zip(labels, found["confusion"]["rows"])])
    lines += ["", *_calibration_lines(found["calibration"])]
    points = found["coverage"]
    lines += ["", "accuracy where only the surest segments are answered"]
    for name, what in (("coverage", "coverage"), ("WA", "wa")):
        lines.append(f"{name:8s}" + "".join(f"{_percent(point[what]):>8s}" for point in points))
    if told := found.get("agreement"):
        lines += ["", *_agreement_lines(told)]
    for name, parts in found["by"].items():
        lines += ["", *_table([[name, *heading], *([value, *_cells(part, labels)] for value, part in parts.items())])]
    return "\n".join(lines) + "\n"


def comparison_text(found: Mapping) -> str:
    """The tables of what `evaluation.compare_systems` found; differences are in points of %, of the pooled figures."""
    comparisons, several = found["comparisons"], len(found["comparisons"]) > 1
    number = comparisons[0]["clusters"]
    inside = ", ".join([f"{found['segments']} segments", f"{number} drawn by {found['drawn']}", *found["title"]])
    lines = [" ".join([f"pooled WA and UA [ {inside} ]", *found["stamps"]]), *guard_lines(found)]
    names = ["A", *(f"B{n}" if several else "B" for n in range(1, len(comparisons) + 1))]
    rows = [["system", "WA", "UA"]]
    rows += [
        [f"{name} {s['source']}", _percent(s["wa"]), _percent(s["ua"])] for name, s in zip(names, found["systems"])
    ]
    lines += ["", *_table(rows), ""]
    rows = [["difference", "points", "95 % interval", "p", *["p (Holm)"] * several]]
    for name, c in zip(names[1:], comparisons):
        for what in ("wa", "ua"):
            low, high = (f"{100 * end:+.2f}" for end in c[what]["interval"])
            row = [f"A-{name} {what.upper()}", f"{100 * c[what]['value']:+.2f}", f"{low} to {high}", _p(c[what]["p"])]
            rows.append(row + [_p(c["holm"][what])] * several)
    lines += [*_table(rows), ""]
    rows = [["McNemar", "A alone right", "B alone right", "Cohen's g", "p", *["p (Holm)"] * several]]
    for name, c in zip(names[1:], comparisons):
        row = [f"A-{name}", str(c["only_a"]), str(c["only_b"]), f"{c['cohen_g']:+.3f}", _p(c["mcnemar_p"])]
        rows.append(row + [_p(c["holm"]["mcnemar"])] * several)
    return "\n".join([*lines, *_table(rows)]) + "\n"


def guard_lines(found: Mapping) -> list[str]:
    """The leak guard's state and why; nothing of results that were not held against a training."""
    return [f"leak guard: {line}" for line in guard_reasons(found)] if "guard" in found else []


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _calibration_lines(found: Mapping) -> list[str]:
    rows = [["calibration", "error", "log loss"], ["as it is", *_calibration_cells(found["as_it_is"])]]
    if "tempered" in found:
        rows.append(["tempered", *_calibration_cells(found["tempered"])])
    lines = _table(rows)
    if "tempered" in found:
        each = ", ".join(f"{value:.2f}" for value in found["temperatures"].values())
        lines.append(f"temperatures of the folds, each fitted on the others only: {each}")
    return lines


def _calibration_cells(found: Mapping) -> list[str]:
    return [_percent(found["error"]), f"{found['log_loss']:.4f}"]


def _agreement_lines(found: Mapping) -> list[str]:
    rows = [["raters", "segments", "WA", "UA"]]
    for name, what in (("all agree", "full"), ("not all agree", "partial")):
        rows.append([name, str(found[what]["segments"]), _percent(found[what]["wa"]), _percent(found[what]["ua"])])
    lines = _table(rows)
    if found["segments"]:
        ends = f"{found['cross_entropy']:.4f}, the votes' own entropy {found['entropy']:.4f}"
        lines.append(f"cross-entropy to the votes on {found['segments']} segments: {ends}")
    return lines


def _cells(found: Mapping, labels: Sequence[str]) -> list[str]:
    parts = [found["wa"], found["ua"], *(found["recalls"][label] for label in labels)]
    return [str(found["segments"]), *map(_percent, parts)]


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f}"


def _table(rows: list[list[str]]) -> list[str]:
    """Rows as lines, the first column flush left and the others flush right."""
    widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    padded = ([cell.rjust(width) for cell, width in zip(row, widths)] for row in rows)
    return ["  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip() for row, cells in zip(rows, padded)]
