"""The tables: the data (Table 2), results beside those of others (Table 3), folds, breakdowns."""

from collections import Counter
from collections.abc import Mapping

from sertk.report.document import MISSING, Table, interval, percent
from sertk.report.figures import words
from sertk.report.systems import Experiment, System
from sertk.scoring.groups import unit_words
from sertk.scoring.intervals import FEW
from sertk.scoring.text import runs_words

RESULT_COLUMNS = ["UA [%]", "± folds", "WA [%]", "± folds", "UA pooled (95 %)", "WA pooled (95 %)"]

# Why ours cannot be compared with what is published.
EXCEPT = {
    "SIMULATED": "are of speech that nobody uttered and say nothing about people",
    "PARTIAL": "are of a part of it",
    "LEAKY": "have seen what they were tested on",
    "TRANSDUCTIVE": "had the test's other segments for normalisation",
}


def counts_table(experiments: list[Experiment], stamps: tuple[str, ...]) -> Table:
    """Table 2: segments of each class, ours beside those of the whole corpus."""
    rows = []
    for experiment in experiments:
        seen = Counter(experiment.test.labels[k] for k in experiment.test.truth)
        whole = experiment.known.counts if experiment.known else {}
        cells = [(label, seen[label], whole.get(label)) for label in experiment.test.labels]
        cells.append(("total", sum(seen.values()), sum(whole.values()) or None))
        for label, here, there in cells:
            rows.append([experiment.short, label, str(here), *_beside(here, there)])
    notes = ("“Whole corpus” is what the published corpus holds (Padi 2021, Table 2, for IEMOCAP).",)
    columns = ["experiment", "emotion", "segments here", "whole corpus", "difference"]
    return Table("table-2", "Table 2. Segments of each emotion", columns, rows, stamps, notes, words=2)


def _beside(here: int, there: int | None) -> list[str]:
    return [MISSING, MISSING] if there is None else [str(there), f"{here - there:+d}" if here != there else "0"]


def results_table(experiment: Experiment, title: str) -> Table:
    """Table 3 for one experiment: the rows of others, then ours with deviation and intervals."""
    rows, notes = [], []
    if others := comparable(experiment):
        rows += [
            [row.system, as_number(row.ua), MISSING, as_number(row.wa), MISSING, MISSING, MISSING, row.source]
            for row in others
        ]
        if told := [EXCEPT[stamp] for stamp in experiment.stamps if stamp in EXCEPT]:
            notes.append(f"The published rows are of the whole, real corpus; ours {' and '.join(told)}.")
    elif experiment.known:
        notes.append("The published rows are left out: they are of LOSO on the whole corpus, these folds are not.")
    first = len(rows)
    drawn, few = set(), False
    for system in experiment.systems:
        found = system.results
        ends = found["intervals"][found["unit"]]
        drawn.add(unit_words(found["unit"], ends["clusters"], ends["units"]))
        mark, few = "*" * (ends["units"] < FEW), few or ends["units"] < FEW
        # The title has them all; a row has those that set it apart.
        stamps = [word for word in system.stamps if not all(word in other.stamps for other in experiment.systems)]
        rows.append([
            " ".join(["sertk:", words(system), *stamps]),
            percent(found["mean"]["ua"]), percent(found["deviation"]["ua"]),
            percent(found["mean"]["wa"]), percent(found["deviation"]["wa"]),
            f"{percent(found['pooled']['ua'], 1)} ({interval(ends['ua'])}){mark}",
            f"{percent(found['pooled']['wa'], 1)} ({interval(ends['wa'])}){mark}",
            ", ".join([runs_words(found["runs"]["number"]), *found["title"]]),
        ])  # fmt: skip
    baselines = experiment.systems[0].results["baselines"]
    for name, found in (
        (f"always {baselines['majority']['label']}", baselines["majority"]),
        ("uniform guess", baselines["chance"]),
    ):
        rows.append(
            [f"baseline: {name}", percent(found["ua"]), MISSING, percent(found["wa"]), *[MISSING] * 3, "no network"]
        )
    methods = sorted({system.results["method"] for system in experiment.systems})
    notes += [
        "UA (mean recall of the classes) is the primary measure, WA is accuracy; both are means over the folds, ± their"
        " standard deviation. The pooled figures with their 95 % intervals are of all segments together.",
        f"Intervals ({' and '.join(methods)}) are by {', '.join(sorted(drawn))}; speakers that one fold's network scored are"
        " left out together.",
    ]
    if few:
        notes.append(f"* Fewer than {FEW} units: a rough interval, which holds only if they are normally distributed.")
    columns = ["system", *RESULT_COLUMNS, "source"]
    ours = frozenset(range(first, first + len(experiment.systems)))
    return Table(f"results-{experiment.name}", title, columns, rows, experiment.stamps, tuple(notes), ours)


def intervals_table(experiment: Experiment) -> Table:
    """The primary interval beside those of other units: how far the answer depends on what is taken as independent."""
    rows = []
    for system in experiment.systems:
        for name, ends in system.results["intervals"].items():
            primary = " (primary)" * (name == system.results["unit"])
            alike = " as if independent" * (name == "segment")
            rows.append([words(system), unit_words(name, ends["clusters"], ends["units"]) + alike + primary,
                         *(interval(ends[what]) for what in ("ua", "wa", "macro_f1"))])  # fmt: skip
    columns = ["system", "95 % interval by", "UA [%]", "WA [%]", "macro-F1 [%]"]
    notes = (
        "Sensitivity analysis. The claim is about new speakers; sessions are the stricter unit where speakers of one session"
        " resemble each other. Intervals by single segments are too narrow, and stand here to show by how much.",
    )
    return Table(f"intervals-{experiment.name}", f"Intervals by unit: {experiment.short}", columns, rows,
                 experiment.stamps, notes, words=2)  # fmt: skip


def classes_table(experiment: Experiment) -> Table:
    """Recall and precision of each class, with intervals, and macro-F1."""
    rows = []
    for system in experiment.systems:
        found = system.results
        pooled, ends = found["pooled"], found["intervals"][found["unit"]]
        for label in found["labels"]:
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
    """The training runs of systems that have several; None where none has."""
    rows = []
    for system in experiment.systems:
        runs = system.results["runs"]
        if runs["number"] > 1:
            rows += [[words(system), name, percent(runs["ua"][k]), percent(runs["wa"][k])]
                     for k, name in enumerate(runs["names"])]  # fmt: skip
            rows.append([words(system), "± runs", percent(runs["deviation"]["ua"]), percent(runs["deviation"]["wa"])])
    columns = ["system", "training run", "UA [%]", "WA [%]"]
    notes = ("Means over the folds; ± is the standard deviation over the runs.",)
    return Table(f"runs-{experiment.name}", f"Training runs: {experiment.short}", columns, rows, experiment.stamps, notes,
                 words=2) if rows else None  # fmt: skip


def comparable(experiment: Experiment) -> tuple:
    """The published rows that may stand in one table with ours: those of the same scheme on the whole corpus."""
    scheme = experiment.test.scheme
    same = experiment.known and scheme.get("scheme") == experiment.known.scheme and scheme.get("part", "all") == "all"
    return experiment.known.rows if same else ()


def folds_table(system: System, experiment: Experiment) -> Table:
    """Results of each fold; for scripted dialogs, how many of its segments are of a script that the training has too."""
    labels = system.results["labels"]
    held_out, scripts = (system.scheme.get(name, {}) for name in ("held_out", "scripts"))
    scripted = any(found["scripted"] for found in scripts.values())
    rows = []
    for fold, found in system.results["folds"].items():
        row = [fold, " ".join(held_out.get(fold, [])) or MISSING, *accuracy_cells(found, labels)]
        rows.append(row + ([f"{scripts[fold]['shared']} of {scripts[fold]['scripted']}"] if scripted else []))
    rows.append(["pooled", "", *accuracy_cells(system.results["pooled"], labels), *[""] * scripted])
    columns = ["fold", "held out", "segments", "UA [%]", "WA [%]", *(f"recall {label} [%]" for label in labels)]
    notes = (
        "Shared script: how many of the fold's scripted segments are of a script that its training has in another"
        " session: the speakers are new, the words are not.",
    )
    title = f"Folds of {experiment.short}, {words(system)}"
    return Table(f"folds-{system.name}", title, columns + ["shared script"] * scripted, rows, system.stamps,
                 notes if scripted else (), words=2)  # fmt: skip


def speakers_table(results: Mapping) -> Table:
    """What score-trials found of the speaker network."""
    ends = results.get("interval")
    by = f" ({interval(ends['eer'], 2)} by {ends['speakers']} speakers)" if ends else ""
    rows = [["equal error rate [%]" + " (95 %)" * bool(ends), percent(results["eer"]) + by]]
    rows += [[f"minDCF at p = {prior}", f"{cost:.4f}"] for prior, cost in results["min_dcf"].items()]
    rows += [[name, str(results[name])] for name in ("trials", "targets", "nontargets")]
    return Table("speakers", "The speaker network on its trials", ["what", "value"], rows, tuple(results["stamps"]))


def accuracy_cells(found: Mapping, labels) -> list[str]:
    """Segments, UA, WA and the classes' recalls."""
    return [str(found["segments"]), percent(found["ua"]), percent(found["wa"]),
            *(percent(found["recalls"][label], 1) for label in labels)]  # fmt: skip


def as_number(value: float | None, digits: int = 2) -> str:
    """A published figure, in per cent as it is."""
    return MISSING if value is None else f"{value:.{digits}f}"
