"""Text output of score-loso and compare-scores, in the style of a Kaldi RESULTS file.

Accuracies are in per cent; undefined values are `-`.
"""

import math
from collections.abc import Mapping, Sequence

from sertk.scoring.columns import aligned
from sertk.scoring.groups import unit_words
from sertk.scoring.intervals import FEW
from sertk.scoring.leakguard import guard_reasons
from sertk.scoring.paired import ALPHA
from sertk.scoring.results import MEASURES


def headline_interval(results: Mapping) -> str:
    """Interval of the pooled figures, with its units.

    >>> ends = {"clusters": 10, "units": 5, "ua": [0.55, 0.66], "wa": [0.58, 0.7]}
    >>> headline_interval({"unit": "utt2spk", "intervals": {"utt2spk": ends}})
    '95 % of the pooled UA 55.0-66.0 WA 58.0-70.0 by 10 speakers in 5 folds'
    """
    ends = results["intervals"][results["unit"]]
    ranges = " ".join(f"{name.upper()} {_ends(ends[name], 1)}" for name in ("ua", "wa"))
    few = f" (rough: fewer than {FEW} units)" if ends["units"] < FEW else ""
    alike = " as if independent" if results["unit"] == "segment" else ""
    return f"95 % of the pooled {ranges} by {unit_words(results['unit'], ends['clusters'], ends['units'])}{alike}{few}"


def runs_words(number: int) -> str:
    """Number of training runs of a figure, in words."""
    return "one training run" if number == 1 else f"mean of {number} training runs"


def as_text(results: Mapping) -> str:
    """Text of the results of one system.

    Args:
        results: of `sertk.scoring.results.evaluate`; `title` and `stamps`, if present, are part of the headline.
    """
    labels, mean, num_folds = results["labels"], results["mean"], len(results["folds"])
    words = [f"mean of {num_folds} folds" if num_folds > 1 else "one fold", f"{results['segments']} segments"]
    words += [runs_words(results["runs"]["number"]), headline_interval(results), *results.get("title", ())]
    inside = ", ".join(words)
    head = f"%WA {_percent(mean['wa'])} %UA {_percent(mean['ua'])} [ {inside} ]"
    lines = [" ".join([head, *results.get("stamps", ())]), *guard_lines(results), "", *_fold_lines(results)]
    lines += ["", *aligned([["pooled", *labels], ["recall", *_each(results["pooled"]["recalls"])],
                           ["precision", *_each(results["pooled"]["precisions"])]])]  # fmt: skip
    lines += ["", *_runs_lines(results["runs"])]
    most, chance = results["baselines"]["majority"], results["baselines"]["chance"]
    rows = [["baseline", "WA", "UA"], [f"always {most['label']}", _percent(most["wa"]), _percent(most["ua"])]]
    rows.append(["uniform guess", _percent(chance["wa"]), _percent(chance["ua"])])
    lines += ["", *aligned(rows)]
    scripts = results.get("scripts", {}).values()
    if scripted := sum(fold["scripted"] for fold in scripts):
        shared = _percent(sum(fold["shared"] for fold in scripts) / scripted)
        lines += ["", f"{scripted} scripted segments, with a script that is also in the training data: {shared} %"]
    lines += ["", *_interval_lines(results)]
    lines += ["", *_confusion_lines(results["confusion"], labels)]
    lines += ["", *_calibration_lines(results["calibration"])]
    points = results["coverage"]
    lines += ["", "accuracy of the most confident segments, by coverage"]
    for name, what in (("coverage", "coverage"), ("WA", "wa")):
        lines.append(f"{name:8s}" + "".join(f"{_percent(point[what]):>8s}" for point in points))
    if agreement := results.get("agreement"):
        lines += ["", *_agreement_lines(agreement)]
    for name, parts in results["by"].items():
        lines += ["", *_group_lines(name, parts, labels)]
    if results.get("gaps"):
        lines += ["", *_gap_lines(results["gaps"])]
    return "\n".join(lines) + "\n"


def _fold_lines(results: Mapping) -> list[str]:
    """Table of the folds, with their mean and deviation, and of all segments together."""
    labels = results["labels"]
    rows = [["fold", "segments", "WA", "UA", "F1", *labels]]
    rows += [[name, *_cells(fold, labels)] for name, fold in results["folds"].items()]
    for name, key in (("mean", "mean"), ("std", "deviation")):
        rows.append([name, "", *(_percent(results[key][m]) for m in MEASURES)])
    rows.append(["pooled", *_cells(results["pooled"], labels)])
    return [*aligned(rows), "F1 is macro-F1; under the labels: recall"]


def _confusion_lines(confusion: Mapping, labels: Sequence[str]) -> list[str]:
    """The confusion matrix in numbers, and in per cent of its rows."""
    counts, shares = (
        aligned([["", *labels], *([label, *map(text, row)] for label, row in zip(labels, confusion[key]))])
        for key, text in (("counts", str), ("rows", _percent))
    )
    words = "confusion matrix, summed over the folds and runs: rows the truth, columns the predictions"
    return [words, *counts, "", "the same in % of each row", *shares]


def _group_lines(name: str, parts: Mapping, labels: Sequence[str]) -> list[str]:
    """Table of the groups of a map."""
    rows = [[name, "segments", "WA", "95 %", "UA", "95 %", "F1", *labels]]
    for value, part in parts.items():
        number, wa, ua, *rest = _cells(part, labels)
        ends = part["interval"] or {"wa": [None, None], "ua": [None, None]}
        rows.append([value, number, wa, _ends(ends["wa"], 1), ua, _ends(ends["ua"], 1), *rest])
    return aligned(rows)


def _gap_lines(gaps: Mapping) -> list[str]:
    """Table of the largest gaps between groups of speakers."""
    rows = [["largest gap between", "in", "points", "p", "p (Holm)", "highest", "lowest"]]
    for name, part in gaps.items():
        for what in ("ua", "recall"):
            gap = part[what]
            measure = "UA" if what == "ua" else f"recall {gap['label']}"
            tests = [p_value(gap["p"]), p_value(gap["holm"])]
            rows.append([name, measure, f"{100 * gap['gap']:.2f}", *tests, gap["high"], gap["low"]])
    return [*aligned(rows), *gap_notes(gaps)]


def gap_notes(gaps: Mapping) -> list[str]:
    """What was tested, and what could not be."""
    notes = [
        "p: share of random assignments of the speakers to the groups with as large a gap (in recall: of any class);"
        f" groups of fewer than {FEW} speakers are left out"
    ]
    for name, part in gaps.items():
        sizes = ", ".join(f"{group} {number}" for group, number in part["speakers"].items())
        few = ", ".join(f"{group} {number}" for group, number in part["left_out"].items())
        least = f"; with so few, p is {part['least_p']:.3g} or more" if part["least_p"] > ALPHA else ""
        notes.append(f"speakers by {name}: {sizes}{f'; left out: {few}' if few else ''}{least}")
    return notes


def _interval_lines(results: Mapping) -> list[str]:
    """Intervals by every unit."""
    labels, units = results["labels"], [ends["units"] for ends in results["intervals"].values()]
    rows = [["by", "number", "WA", "UA", "F1", *labels]]
    for name, ends in results["intervals"].items():
        number, _, words = unit_words(name, ends["clusters"], ends["units"]).partition(" ")
        words += " as if independent" if name == "segment" else ""
        cells = [*(ends[m] for m in MEASURES), *ends["recalls"].values()]
        rows.append([words + "*" * (ends["units"] < FEW), number, *map(_ends, cells)])
    lines = [f"95 % intervals of the pooled figures ({results['method']})", *aligned(rows)]
    if min(units) < FEW:
        lines.append(f"* fewer than {FEW} units: a rough interval, valid only if the units are normally distributed")
    if results["unit"] == "segment":
        lines.append("speakers are unknown: segments of one speaker are correlated, so these intervals are too narrow")
    return lines


def _runs_lines(runs: Mapping) -> list[str]:
    """Results of each training run."""
    if runs["number"] == 1:
        return ["one training run: the intervals cover variation between the folds' networks, not between seeds"]
    names = runs.get("names") or [str(n + 1) for n in range(runs["number"])]
    rows = [["run", "WA", "UA", "F1"]]
    rows += [[name, *(_percent(runs[m][k]) for m in MEASURES)] for k, name in enumerate(names)]
    return aligned([*rows, ["std", *(_percent(runs["deviation"][m]) for m in MEASURES)]])


def comparison_text(results: Mapping) -> str:
    """Text of a comparison; differences are of pooled figures, in percentage points.

    Args:
        results: of `sertk.scoring.systemcomparison.compare_systems`.
    """
    comparisons, several = results["comparisons"], len(results["comparisons"]) > 1
    first = comparisons[0]
    units = unit_words(results["drawn"], first["clusters"], first["units"])
    inside = ", ".join([f"{results['segments']} segments", f"by {units}", *results["title"]])
    lines = [" ".join([f"pooled WA and UA [ {inside} ]", *results["stamps"]]), *guard_lines(results)]
    names = ["A", *(f"B{n}" if several else "B" for n in range(1, len(comparisons) + 1))]
    rows = [["system", "WA", "UA", "training runs"]]
    rows += [
        [f"{name} {s['source']}", _percent(s["wa"]), _percent(s["ua"]), str(s["runs"])]
        for name, s in zip(names, results["systems"])
    ]
    lines += ["", *aligned(rows), ""]
    rows = [["difference", "points", "95 % interval", "p", *["p (Holm)"] * several, "detectable"]]
    for name, c in zip(names[1:], comparisons):
        for what in ("ua", "wa"):
            low, high = (f"{100 * end:+.2f}" for end in c[what]["interval"])
            row = [
                f"A-{name} {what.upper()}",
                f"{100 * c[what]['value']:+.2f}",
                f"{low} to {high}",
                p_value(c[what]["p"]),
            ]
            rows.append([*row, *[p_value(c["holm"][what])] * several, detectable_text(c[what]["detectable"])])
    for name, others in results["sensitivity"].items():
        words = unit_words(name, others[0]["clusters"], others[0]["units"])
        for b, c in zip(names[1:], others):
            low, high = (f"{100 * end:+.2f}" for end in c["ua"]["interval"])
            row = [f"A-{b} UA by {words}", f"{100 * c['ua']['value']:+.2f}", f"{low} to {high}", p_value(c["ua"]["p"])]
            rows.append([*row, *[p_value(c["holm"]["ua"])] * several, detectable_text(c["ua"]["detectable"])])
    lines += [*aligned(rows), *results["notes"], ""]
    rows = [["McNemar (assumes independent segments)", "A alone correct", "B alone correct", "Cohen's g", "p"]]
    for name, c in zip(names[1:], comparisons):
        if c["mcnemar_p"] is None:
            rows.append([f"A-{name}", "-", "-", "-", "-"])
        else:
            row = [f"A-{name}", str(c["only_a"]), str(c["only_b"]), f"{c['cohen_g']:+.3f}"]
            rows.append([*row, p_value(c["mcnemar_p"])])
    return "\n".join([*lines, *aligned(rows)]) + "\n"


def guard_lines(results: Mapping) -> list[str]:
    """State of the leak guard with reasons; [] for results without a guard."""
    return [f"leak guard: {line}" for line in guard_reasons(results)] if "guard" in results else []


def detectable_text(value: float | None) -> str:
    """Minimum detectable difference, in percentage points; `none` if no difference is detectable."""
    return "none" if value is None else f"from {100 * value:.1f}"


def p_value(value: float) -> str:
    """p-value with three significant digits, never rounded across 0.05.

    >>> p_value(0.0496), p_value(0.0504), p_value(0.04999), p_value(0.125), p_value(0.0003)
    ('0.0496', '0.0504', '< 0.05', '0.125', '< 0.001')
    """
    if value < 0.001:
        return "< 0.001"
    text = f"{value:#.3g}" if value < 1 else "1.000"
    if value != ALPHA and float(text) == ALPHA:
        return f"{'<' if value < ALPHA else '>'} {ALPHA}"
    return text


def _calibration_lines(calibration: Mapping) -> list[str]:
    """Table of calibration measures, raw and tempered."""
    rows = [["calibration", "error", "floor", "up to", "corrected", "Brier", "log loss"]]
    rows += [[name, *_calibration_cells(calibration[key])] for name, key in (("raw", "as_it_is"), ("tempered", "tempered"))
             if key in calibration]  # fmt: skip
    lines = aligned(rows)
    lines.append(
        "error: ECE; floor, up to: mean and 95th percentile of the ECE of perfectly calibrated posteriors of this size"
    )
    if "tempered" in calibration:
        each = ", ".join(f"{value:.2f}" for value in calibration["temperatures"].values())
        lines.append(f"temperatures of the folds, each fitted on the other folds: {each}")
    return lines


def _calibration_cells(calibration: Mapping) -> list[str]:
    """A row of the calibration table."""
    parts = [calibration["error"], calibration["floor"]["mean"], calibration["floor"]["high"], calibration["corrected"]]
    return [*map(_percent, parts), f"{calibration['brier']:.4f}", f"{calibration['log_loss']:.4f}"]


def _agreement_lines(agreement: Mapping) -> list[str]:
    """Accuracy by rater agreement, and cross-entropy with the votes."""
    rows = [["raters", "segments", "WA", "UA"]]
    for name, what in (("all agree", "full"), ("not all agree", "partial")):
        rows.append(
            [name, str(agreement[what]["segments"]), _percent(agreement[what]["wa"]), _percent(agreement[what]["ua"])]
        )
    lines = aligned(rows)
    if agreement["segments"]:
        ends = f"{agreement['cross_entropy']:.4f}, entropy of the votes {agreement['entropy']:.4f}"
        lines.append(f"cross-entropy with the votes on {agreement['segments']} segments: {ends}")
    return lines


def _cells(accuracy: Mapping, labels: Sequence[str]) -> list[str]:
    """Segments, measures and recalls of one row."""
    parts = [*(accuracy[name] for name in MEASURES), *(accuracy["recalls"][label] for label in labels)]
    return [str(accuracy["segments"]), *map(_percent, parts)]


def _each(values: Mapping) -> list[str]:
    """Values in per cent."""
    return [_percent(value) for value in values.values()]


def _ends(ends: Sequence, digits: int = 2) -> str:
    """An interval in per cent."""
    return "-" if None in ends else "-".join(f"{100 * end:.{digits}f}" for end in ends)


def _percent(value: float | None) -> str:
    """A fraction in per cent."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f}"
