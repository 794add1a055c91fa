"""Tables of data (Table 2) and results (Table 3, intervals, classes, runs, folds, speaker trials)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sertk.report.document import MISSING, Table, interval, percent
from sertk.report.figures import words
from sertk.report.published import Row
from sertk.report.systems import Experiment, System
from sertk.scoring.groups import unit_words
from sertk.scoring.intervals import FEW
from sertk.scoring.text import runs_words

RESULT_COLUMNS = ["UA [%]", "± folds", "WA [%]", "± folds", "UA pooled (95 %)", "WA pooled (95 %)"]

# Stamp -> why our results cannot be compared with published ones.
EXCEPT = {
    "SIMULATED": "are of synthetic speech and say nothing about people",
    "PARTIAL": "are of a part of the corpus",
    "LEAKY": "were trained or selected on test data",
    "TRANSDUCTIVE": "used other test segments for normalisation",
}


def counts_table(experiments: list[Experiment], stamps: tuple[str, ...]) -> Table:
    """Segments of each class, here and in the whole corpus (Table 2)."""
    rows = []
    for experiment in experiments:
        seen = Counter(experiment.test.labels[k] for k in experiment.test.truth)
        published = experiment.known.counts if experiment.known else {}
        cells = [(label, seen[label], published.get(label)) for label in experiment.test.labels]
        cells.append(("total", sum(seen.values()), sum(published.values()) or None))
        for label, number, expected in cells:
            rows.append([experiment.short, label, str(number), *_beside(number, expected)])
    notes = ("Whole corpus: counts of the published corpus (for IEMOCAP, Padi 2021, Table 2).",)
    columns = ["experiment", "emotion", "segments", "whole corpus", "difference"]
    if all(row[3] == MISSING for row in rows):
        columns, rows, notes = columns[:3], [row[:3] for row in rows], ()
    number = "Table 2. " * any(experiment.of_paper for experiment in experiments)
    return Table("table-2", f"{number}Segments of each emotion", columns, rows, stamps, notes, words=2)


def _beside(number: int, expected: int | None) -> list[str]:
    """The expected count and the difference, dashes if unknown."""
    if expected is None:
        return [MISSING, MISSING]
    return [str(expected), f"{number - expected:+d}" if number != expected else "0"]


def results_table(experiment: Experiment, title: str) -> Table:
    """Results of an experiment: published rows, then ours with standard deviation and intervals, then baselines (Table 3)."""
    rows, notes = [], []
    if others := comparable(experiment):
        rows += [
            [row.system, as_number(row.ua), MISSING, as_number(row.wa), MISSING, MISSING, MISSING, row.source]
            for row in others
        ]
        if reasons := [EXCEPT[stamp] for stamp in experiment.stamps if stamp in EXCEPT]:
            notes.append(f"The published results are of the whole, real corpus; ours {' and '.join(reasons)}.")
    elif experiment.known:
        notes.append("Published results are not shown: they are for LOSO on the whole corpus, these folds are not.")
    first = len(rows)
    units, few = set(), False
    for system in experiment.systems:
        results = system.results
        ends = results["intervals"][results["unit"]]
        units.add(unit_words(results["unit"], ends["clusters"], ends["units"]))
        mark, few = "*" * (ends["units"] < FEW), few or ends["units"] < FEW
        # The title has all stamps; a row those that not all systems have.
        stamps = [word for word in system.stamps if not all(word in other.stamps for other in experiment.systems)]
        # Beside published systems it must be plain which are ours.
        origin = ["imported:" if system.imported else "sertk:"] if first else []
        rows.append([
            " ".join([*origin, words(system), *stamps]),
            percent(results["mean"]["ua"]), percent(results["deviation"]["ua"]),
            percent(results["mean"]["wa"]), percent(results["deviation"]["wa"]),
            f"{percent(results['pooled']['ua'], 1)} ({interval(ends['ua'])}){mark}",
            f"{percent(results['pooled']['wa'], 1)} ({interval(ends['wa'])}){mark}",
            ", ".join([runs_words(results["runs"]["number"]), *results["title"]]),
        ])  # fmt: skip
    baselines = experiment.systems[0].results["baselines"]
    for name, accuracy in (
        (f"always {baselines['majority']['label']}", baselines["majority"]),
        ("uniform guess", baselines["chance"]),
    ):
        rows.append(
            [
                f"baseline: {name}",
                percent(accuracy["ua"]),
                MISSING,
                percent(accuracy["wa"]),
                *[MISSING] * 3,
                "no network",
            ]
        )
    methods = sorted({system.results["method"] for system in experiment.systems})
    notes += [
        "UA (mean recall over classes) is the primary measure, WA is accuracy; both are means over folds ± standard deviation."
        " Pooled: all segments together, with 95 % intervals.",
        f"Intervals ({' and '.join(methods)}) are clustered by {', '.join(sorted(units))}; speakers scored by the same fold's"
        " network are one cluster.",
    ]
    if few:
        notes.append(f"* Fewer than {FEW} units: a rough interval, valid only if the units are normally distributed.")
    columns = ["system", *RESULT_COLUMNS, "source"]
    ours = frozenset(range(first, first + len(experiment.systems)))
    return Table(f"results-{experiment.name}", title, columns, rows, experiment.stamps, tuple(notes), ours)


def intervals_table(experiment: Experiment) -> Table:
    """Intervals by every unit, as a sensitivity analysis."""
    rows = []
    for system in experiment.systems:
        for name, ends in system.results["intervals"].items():
            primary = " (primary)" * (name == system.results["unit"])
            alike = " as if independent" * (name == "segment")
            rows.append([words(system), unit_words(name, ends["clusters"], ends["units"]) + alike + primary,
                         *(interval(ends[what]) for what in ("ua", "wa", "macro_f1"))])  # fmt: skip
    columns = ["system", "95 % interval by", "UA [%]", "WA [%]", "macro-F1 [%]"]
    notes = (
        "Sensitivity analysis. The primary interval is for new speakers. Sessions, if any, are the more conservative unit if"
        " speakers of one session are correlated. Intervals by segment ignore all correlation and are too narrow; they are for"
        " comparison.",
    )
    return Table(f"intervals-{experiment.name}", f"Intervals by unit: {experiment.short}", columns, rows,
                 experiment.stamps, notes, words=2)  # fmt: skip


def classes_table(experiment: Experiment) -> Table:
    """Recall and precision of each class and macro-F1, with intervals."""
    rows = []
    for system in experiment.systems:
        results = system.results
        pooled, ends = results["pooled"], results["intervals"][results["unit"]]
        for label in results["labels"]:
            cells = [
                f"{percent(pooled[what][label], 1)} ({interval(ends[what][label])})"
                for what in ("recalls", "precisions")
            ]
            rows.append([words(system), label, *cells])
        rows.append([words(system), "macro-F1", f"{percent(pooled['macro_f1'], 1)} ({interval(ends['macro_f1'])})", ""])
    columns = ["system", "class", "recall [%] (95 %)", "precision [%] (95 %)"]
    title = f"Recall and precision of each class: {experiment.short}"
    return Table(f"classes-{experiment.name}", title, columns, rows, experiment.stamps, words=2, folded=True)


def runs_table(experiment: Experiment) -> Table | None:
    """Results of each training run, for systems with several; None if there are none."""
    rows = []
    for system in experiment.systems:
        runs = system.results["runs"]
        if runs["number"] > 1:
            rows += [[words(system), name, percent(runs["ua"][k]), percent(runs["wa"][k])]
                     for k, name in enumerate(runs["names"])]  # fmt: skip
            rows.append([words(system), "± runs", percent(runs["deviation"]["ua"]), percent(runs["deviation"]["wa"])])
    columns = ["system", "training run", "UA [%]", "WA [%]"]
    notes = ("Means over folds; ± runs: standard deviation over training runs.",)
    if not rows:
        return None
    title = f"Training runs: {experiment.short}"
    return Table(f"runs-{experiment.name}", title, columns, rows, experiment.stamps, notes, words=2)


def comparable(experiment: Experiment) -> tuple[Row, ...]:
    """Published results that are comparable with ours: same scheme, whole corpus."""
    scheme = experiment.test.scheme
    same = experiment.known and scheme.get("scheme") == experiment.known.scheme and scheme.get("part", "all") == "all"
    return experiment.known.rows if same else ()


def folds_table(system: System, experiment: Experiment) -> Table:
    """Results of each fold; with scripted dialogs, also the number of segments whose script is in the training data."""
    labels = system.results["labels"]
    held_out, scripts = (system.scheme.get(name, {}) for name in ("held_out", "scripts"))
    scripted = any(counts["scripted"] for counts in scripts.values())
    rows = []
    for fold, accuracy in system.results["folds"].items():
        row = [fold, " ".join(held_out.get(fold, [])) or MISSING, *accuracy_cells(accuracy, labels)]
        rows.append(row + ([f"{scripts[fold]['shared']} of {scripts[fold]['scripted']}"] if scripted else []))
    rows.append(["pooled", "", *accuracy_cells(system.results["pooled"], labels), *[""] * scripted])
    columns = ["fold", "held out", "segments", "UA [%]", "WA [%]", *(f"recall {label} [%]" for label in labels)]
    notes = (
        "Shared script: scripted segments of the fold whose script also occurs in training, from other sessions: the speakers are"
        " new, the words are not.",
    )
    title = f"Folds of {experiment.short}, {words(system)}"
    return Table(f"folds-{system.name}", title, columns + ["shared script"] * scripted, rows, system.stamps,
                 notes if scripted else (), words=2)  # fmt: skip


def speakers_table(results: Mapping) -> Table:
    """Results of score-trials."""
    ends = results.get("interval")
    by = f" ({interval(ends['eer'], 2)} by {ends['speakers']} speakers)" if ends else ""
    rows = [["equal error rate [%]" + " (95 %)" * bool(ends), percent(results["eer"]) + by]]
    for prior, cost in results["min_dcf"].items():
        low_high = (ends or {}).get("min_dcf", {}).get(prior)  # none in results of earlier versions
        between = f" ({low_high[0]:.4f}–{low_high[1]:.4f})" if low_high else ""
        rows.append([f"minDCF at p = {prior}" + " (95 %)" * bool(low_high), f"{cost:.4f}{between}"])
    rows += [[name, str(results[name])] for name in ("trials", "targets", "nontargets")]
    return Table(
        "speakers", "Speaker verification with the speaker network", ["what", "value"], rows, tuple(results["stamps"])
    )


def accuracy_cells(accuracy: Mapping, labels: Sequence[str]) -> list[str]:
    """Cells of one row: segments, UA, WA, recalls."""
    recalls = [percent(accuracy["recalls"][label], 1) for label in labels]
    return [str(accuracy["segments"]), percent(accuracy["ua"]), percent(accuracy["wa"]), *recalls]


def as_number(value: float | None, digits: int = 2) -> str:
    """A published figure, given in per cent."""
    return MISSING if value is None else f"{value:.{digits}f}"
