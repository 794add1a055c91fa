"""Results as text: score-loso's and compare-scores's tables, as readable as a Kaldi RESULTS file.

Accuracies are per cent; what does not exist is `-`.
"""

import math
from collections.abc import Mapping, Sequence

from sertk.scoring.columns import aligned
from sertk.scoring.groups import unit_words
from sertk.scoring.intervals import FEW
from sertk.scoring.paired import ALPHA
from sertk.scoring.protocol import guard_reasons
from sertk.scoring.results import MEASURES


def headline_interval(found: Mapping) -> str:
    """The interval of the pooled figures, of what and of how many.

    >>> ends = {"clusters": 10, "units": 5, "ua": [0.55, 0.66], "wa": [0.58, 0.7]}
    >>> headline_interval({"unit": "utt2spk", "intervals": {"utt2spk": ends}})
    '95 % of the pooled UA 55.0-66.0 WA 58.0-70.0 by 10 speakers in 5 folds'
    """
    ends = found["intervals"][found["unit"]]
    ranges = " ".join(f"{name.upper()} {_ends(ends[name], 1)}" for name in ("ua", "wa"))
    few = f" (rough: fewer than {FEW})" if ends["units"] < FEW else ""
    alike = " as if independent" if found["unit"] == "segment" else ""
    return f"95 % of the pooled {ranges} by {unit_words(found['unit'], ends['clusters'], ends['units'])}{alike}{few}"


def runs_words(number: int) -> str:
    """How many training runs a figure is of; one cannot say what another would have given."""
    return "one training run" if number == 1 else f"mean of {number} training runs"


def as_text(found: Mapping) -> str:
    """The tables of what `evaluate` found; `title` and `stamps`, where there are any, make the headline."""
    labels = found["labels"]
    mean, num_folds = found["mean"], len(found["folds"])
    words = [f"mean of {num_folds} folds" if num_folds > 1 else "one fold", f"{found['segments']} segments"]
    words += [runs_words(found["runs"]["number"]), headline_interval(found), *found.get("title", ())]
    inside = ", ".join(words)
    head = f"%WA {_percent(mean['wa'])} %UA {_percent(mean['ua'])} [ {inside} ]"
    lines = [" ".join([head, *found.get("stamps", ())]), *guard_lines(found), ""]
    heading = ["segments", "WA", "UA", "F1", *labels]
    rows = [["fold", *heading]]
    rows += [[name, *_cells(fold, labels)] for name, fold in found["folds"].items()]
    for name, key in (("mean", "mean"), ("std", "deviation")):
        rows.append([name, "", *(_percent(found[key][m]) for m in MEASURES)])
    rows.append(["pooled", *_cells(found["pooled"], labels)])
    lines += [*aligned(rows), "F1 is macro-F1; under the labels: recall"]
    lines += ["", *aligned([["pooled", *labels], ["recall", *_each(found["pooled"]["recalls"])],
                           ["precision", *_each(found["pooled"]["precisions"])]])]  # fmt: skip
    lines += ["", *_runs_lines(found["runs"])]
    most, chance = found["baselines"]["majority"], found["baselines"]["chance"]
    rows = [["baseline", "WA", "UA"], [f"always {most['label']}", _percent(most["wa"]), _percent(most["ua"])]]
    rows.append(["uniform guess", _percent(chance["wa"]), _percent(chance["ua"])])
    lines += ["", *aligned(rows)]
    scripts = found.get("scripts", {}).values()
    if scripted := sum(fold["scripted"] for fold in scripts):
        shared = _percent(sum(fold["shared"] for fold in scripts) / scripted)
        lines += ["", f"{scripted} scripted segments, of which the training has the script too: {shared} %"]
    lines += ["", *_interval_lines(found)]
    lines += ["", "confusion matrix, summed over the folds and runs: rows the truth, columns the predictions"]
    lines += aligned([["", *labels]] + [[a, *map(str, row)] for a, row in zip(labels, found["confusion"]["counts"])])
    lines += ["", "the same in % of each row"]
    lines += aligned([["", *labels]] + [[a, *map(_percent, row)] for a, row in zip(labels, found["confusion"]["rows"])])
    lines += ["", *_calibration_lines(found["calibration"])]
    points = found["coverage"]
    lines += ["", "accuracy where only the most confident segments are answered"]
    for name, what in (("coverage", "coverage"), ("WA", "wa")):
        lines.append(f"{name:8s}" + "".join(f"{_percent(point[what]):>8s}" for point in points))
    if agreement := found.get("agreement"):
        lines += ["", *_agreement_lines(agreement)]
    for name, parts in found["by"].items():
        rows = [[name, "segments", "WA", "95 %", "UA", "95 %", "F1", *labels]]
        for value, part in parts.items():
            number, wa, ua, *rest = _cells(part, labels)
            ends = part["interval"] or {"wa": [None, None], "ua": [None, None]}
            rows.append([value, number, wa, _ends(ends["wa"], 1), ua, _ends(ends["ua"], 1), *rest])
        lines += ["", *aligned(rows)]
    return "\n".join(lines) + "\n"


def _interval_lines(found: Mapping) -> list[str]:
    labels, units = found["labels"], [ends["units"] for ends in found["intervals"].values()]
    rows = [["by", "number", "WA", "UA", "F1", *labels]]
    for name, ends in found["intervals"].items():
        number, _, words = unit_words(name, ends["clusters"], ends["units"]).partition(" ")
        words += " as if independent" if name == "segment" else ""
        cells = [*(ends[m] for m in MEASURES), *ends["recalls"].values()]
        rows.append([words + "*" * (ends["units"] < FEW), number, *map(_ends, cells)])
    lines = [f"95 % intervals of the pooled figures ({found['method']})", *aligned(rows)]
    if min(units) < FEW:
        lines.append(f"* fewer than {FEW} units: a rough interval, which holds only if they are normally distributed")
    if found["unit"] == "segment":
        lines.append(
            "nothing says who speaks: segments of one speaker resemble each other, these intervals are too narrow"
        )
    return lines


def _runs_lines(found: Mapping) -> list[str]:
    if found["number"] == 1:
        return ["one training run: what another seed would give is not in any interval beyond the folds' own networks"]
    names = found.get("names") or [str(n + 1) for n in range(found["number"])]
    rows = [["run", "WA", "UA", "F1"]]
    rows += [[name, *(_percent(found[m][k]) for m in MEASURES)] for k, name in enumerate(names)]
    return aligned([*rows, ["std", *(_percent(found["deviation"][m]) for m in MEASURES)]])


def comparison_text(found: Mapping) -> str:
    """The tables of what `evaluation.compare_systems` found; differences are in points of %, of the pooled figures."""
    comparisons, several = found["comparisons"], len(found["comparisons"]) > 1
    first = comparisons[0]
    units = unit_words(found["drawn"], first["clusters"], first["units"])
    inside = ", ".join([f"{found['segments']} segments", f"by {units}", *found["title"]])
    lines = [" ".join([f"pooled WA and UA [ {inside} ]", *found["stamps"]]), *guard_lines(found)]
    names = ["A", *(f"B{n}" if several else "B" for n in range(1, len(comparisons) + 1))]
    rows = [["system", "WA", "UA", "training runs"]]
    rows += [
        [f"{name} {s['source']}", _percent(s["wa"]), _percent(s["ua"]), str(s["runs"])]
        for name, s in zip(names, found["systems"])
    ]
    lines += ["", *aligned(rows), ""]
    rows = [["difference", "points", "95 % interval", "p", *["p (Holm)"] * several, "could be shown"]]
    for name, c in zip(names[1:], comparisons):
        for what in ("ua", "wa"):
            low, high = (f"{100 * end:+.2f}" for end in c[what]["interval"])
            row = [
                f"A-{name} {what.upper()}",
                f"{100 * c[what]['value']:+.2f}",
                f"{low} to {high}",
                p_value(c[what]["p"]),
            ]
            rows.append([*row, *[p_value(c["holm"][what])] * several, shown_from(c[what]["detectable"])])
    for name, others in found["sensitivity"].items():
        words = unit_words(name, others[0]["clusters"], others[0]["units"])
        for b, c in zip(names[1:], others):
            low, high = (f"{100 * end:+.2f}" for end in c["ua"]["interval"])
            row = [f"A-{b} UA by {words}", f"{100 * c['ua']['value']:+.2f}", f"{low} to {high}", p_value(c["ua"]["p"])]
            rows.append([*row, *[p_value(c["holm"]["ua"])] * several, shown_from(c["ua"]["detectable"])])
    lines += [*aligned(rows), *found["notes"], ""]
    rows = [["McNemar (assumes independent segments)", "A alone correct", "B alone correct", "Cohen's g", "p"]]
    for name, c in zip(names[1:], comparisons):
        if c["mcnemar_p"] is None:
            rows.append([f"A-{name}", "-", "-", "-", "-"])
        else:
            row = [f"A-{name}", str(c["only_a"]), str(c["only_b"]), f"{c['cohen_g']:+.3f}"]
            rows.append([*row, p_value(c["mcnemar_p"])])
    return "\n".join([*lines, *aligned(rows)]) + "\n"


def guard_lines(found: Mapping) -> list[str]:
    """The leak guard's state and why; nothing of results that were not held against a training."""
    return [f"leak guard: {line}" for line in guard_reasons(found)] if "guard" in found else []


def shown_from(value: float | None) -> str:
    """From which difference on a test would have shown it, in points; None where no difference could be."""
    return "none" if value is None else f"from {100 * value:.1f}"


def p_value(value: float) -> str:
    """A p with three digits, on the side of 0.05 where it is.

    >>> p_value(0.0496), p_value(0.0504), p_value(0.04999), p_value(0.125), p_value(0.0003)
    ('0.0496', '0.0504', '< 0.05', '0.125', '< 0.001')
    """
    if value < 0.001:
        return "< 0.001"
    text = f"{value:#.3g}" if value < 1 else "1.000"
    if value != ALPHA and float(text) == ALPHA:
        return f"{'<' if value < ALPHA else '>'} {ALPHA}"
    return text


def _calibration_lines(found: Mapping) -> list[str]:
    rows = [["calibration", "error", "floor", "up to", "corrected", "Brier", "log loss"]]
    rows += [[name, *_calibration_cells(found[key])] for name, key in (("raw", "as_it_is"), ("tempered", "tempered"))
             if key in found]  # fmt: skip
    lines = aligned(rows)
    lines.append(
        "floor: the mean error of perfectly calibrated posteriors of this size, and what 95 % of them are below"
    )
    if "tempered" in found:
        each = ", ".join(f"{value:.2f}" for value in found["temperatures"].values())
        lines.append(f"temperatures of the folds, each fitted on the others only: {each}")
    return lines


def _calibration_cells(found: Mapping) -> list[str]:
    parts = [found["error"], found["floor"]["mean"], found["floor"]["high"], found["corrected"]]
    return [*map(_percent, parts), f"{found['brier']:.4f}", f"{found['log_loss']:.4f}"]


def _agreement_lines(found: Mapping) -> list[str]:
    rows = [["raters", "segments", "WA", "UA"]]
    for name, what in (("all agree", "full"), ("not all agree", "partial")):
        rows.append([name, str(found[what]["segments"]), _percent(found[what]["wa"]), _percent(found[what]["ua"])])
    lines = aligned(rows)
    if found["segments"]:
        ends = f"{found['cross_entropy']:.4f}, the votes' own entropy {found['entropy']:.4f}"
        lines.append(f"cross-entropy to the votes on {found['segments']} segments: {ends}")
    return lines


def _cells(found: Mapping, labels: Sequence[str]) -> list[str]:
    parts = [*(found[name] for name in MEASURES), *(found["recalls"][label] for label in labels)]
    return [str(found["segments"]), *map(_percent, parts)]


def _each(values: Mapping) -> list[str]:
    return [_percent(value) for value in values.values()]


def _ends(ends: Sequence, digits: int = 2) -> str:
    return "-" if None in ends else "-".join(f"{100 * end:.{digits}f}" for end in ends)


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f}"
