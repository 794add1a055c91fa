"""The tables: the data (Table 2), results beside those of others (Table 3), folds, breakdowns."""

from collections import Counter
from collections.abc import Mapping

from sertk.report.document import MISSING, Table, interval, percent
from sertk.report.figures import words
from sertk.report.systems import Experiment, System

RESULT_COLUMNS = ["UA [%]", "± folds", "WA [%]", "± folds", "UA pooled (95 %)", "WA pooled (95 %)"]

DRAWN = {"utt2dialog": "dialogs", "utt2spk": "speakers", "utt2session": "sessions", "segment": "single segments"}
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
    drawn = set()
    for system in experiment.systems:
        found = system.results
        name, ends = widest(system)
        drawn.add(f"{ends['clusters']} {DRAWN.get(name, f'groups of {name}')}")
        # The title has them all; a row has those that set it apart.
        stamps = [word for word in system.stamps if not all(word in other.stamps for other in experiment.systems)]
        rows.append([
            " ".join(["sertk:", words(system), *stamps]),
            percent(found["mean"]["ua"]), percent(found["deviation"]["ua"]),
            percent(found["mean"]["wa"]), percent(found["deviation"]["wa"]),
            f"{percent(found['pooled']['ua'], 1)} ({interval(ends['ua'])})",
            f"{percent(found['pooled']['wa'], 1)} ({interval(ends['wa'])})",
            ", ".join(found["title"]),
        ])  # fmt: skip
    notes += [
        "UA (mean recall of the classes) and WA (accuracy) are means over the folds, ± their standard deviation; the"
        " pooled figures with their 95 % intervals are of all segments together.",
        f"Intervals are by the bootstrap of {', '.join(sorted(drawn))}.",
    ]
    columns = ["system", *RESULT_COLUMNS, "source"]
    ours = frozenset(range(first, len(rows)))
    return Table(f"results-{experiment.name}", title, columns, rows, experiment.stamps, tuple(notes), ours)


def comparable(experiment: Experiment) -> tuple:
    """The published rows that may stand in one table with ours: those of the same scheme on the whole corpus."""
    scheme = experiment.test.scheme
    same = experiment.known and scheme.get("scheme") == experiment.known.scheme and scheme.get("part", "all") == "all"
    return experiment.known.rows if same else ()


def widest(system: System) -> tuple[str, dict]:
    """The name and ends of the interval that knows of clusters, where there is one: the widest in WA."""
    found = system.results["intervals"]
    names = [name for name in found if name != "segment"] or ["segment"]
    name = max(names, key=lambda name: found[name]["wa"][1] - found[name]["wa"][0])
    return name, found[name]


def folds_table(system: System, experiment: Experiment) -> Table:
    """What each fold gave; for scripted dialogs, how many of its segments are of a script that the training has too."""
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
    rows = [["equal error rate [%]", percent(results["eer"])]]
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
