"""Results by subgroup (gender, dialog, length, speaker), and against the raters' votes."""

from collections.abc import Mapping

import numpy as np

from sertk.report.data import Data
from sertk.report.document import MISSING, Table, interval, percent
from sertk.report.figures import words
from sertk.report.systems import Experiment, System
from sertk.report.tables import accuracy_cells
from sertk.scoring.agreement import agreement_scores
from sertk.scoring.evaluation import known_clusters
from sertk.scoring.groups import known_groups
from sertk.scoring.results import breakdown

Parts = dict[str, Mapping[str, dict]]  # a group's name -> value -> what score-loso's `by` holds


def breakdowns(system: System, experiment: Experiment, data: Data | None) -> Parts:
    """Accuracies of all that the data folder knows (`known_groups`), and those that score-loso left."""
    test = experiment.test
    found = dict(system.results["by"])
    clusters = next(iter(known_clusters(test).values()), None)
    fold = np.array([test.utt2fold[key] for key in test.keys])
    if data:
        for name, values in known_groups(data.folder, test.keys, test.scheme.get("label_map")).items():
            found[name] = breakdown(test.truth, system.guess, values, test.labels, clusters, fold)
    return {name: parts for name, parts in found.items() if len(parts) > 1}


def breakdown_tables(experiment: Experiment, data: Data | None) -> list[Table]:
    """Systems side by side, those whose epoch was chosen as the first one's, and folded away for each the recalls of
    the classes; [] of nothing."""
    systems = [system for system in experiment.systems if system.rule == experiment.systems[0].rule]
    of_system = {system.name: breakdowns(system, experiment, data) for system in systems}
    first = of_system[systems[0].name]
    if not first:
        return []
    rows = []
    for group, parts in first.items():
        for value, found in parts.items():
            row = [group, value, str(found["segments"])]
            for system in systems:
                there = of_system[system.name].get(group, {}).get(value)
                row += [with_interval(there, what) for what in ("ua", "wa")] if there else [MISSING, MISSING]
            rows.append(row)
    names = [system.what or system.name for system in systems]
    columns = ["by", "part", "segments", *(f"{name}: {what} [%] (95 %)" for name in names for what in ("UA", "WA"))]
    notes = (
        "UA is the mean recall of the classes that the part has. Intervals are by speakers, those of one fold's network"
        " together; a part of one speaker has none.",
    )
    title = f"Results by subgroup: {experiment.short}"
    tables = [Table(f"by-{experiment.name}", title, columns, rows, experiment.stamps, notes, words=2)]
    for system in systems:
        labels = system.results["labels"]
        columns = ["by", "part", "segments", "UA [%]", "WA [%]", *(f"recall {label} [%]" for label in labels)]
        rows = [
            [group, value, *accuracy_cells(found, labels)]
            for group, parts in of_system[system.name].items()
            for value, found in parts.items()
        ]
        title = f"Recall of each class by subgroup: {experiment.short}, {words(system)}"
        tables.append(Table(f"by-{system.name}-recalls", title, columns, rows, system.stamps, words=2, folded=True))
    return tables


def with_interval(part: Mapping, what: str) -> str:
    """A part's figure in per cent, with its interval where it has one."""
    ends = part["interval"] and part["interval"][what]
    return percent(part[what]) + (f" ({interval(ends)})" if ends and None not in ends else "")


def raters_table(experiment: Experiment, data: Data | None) -> Table | None:
    """Accuracies where all raters agree, and cross-entropy to their votes; None without votes."""
    if not data or not data.votes:
        return None
    test, rows = experiment.test, []
    votes = [data.votes.get(key, []) for key in test.keys]
    for system in experiment.systems:
        posteriors = np.mean([scored.posteriors for scored in system.runs], axis=0)
        found = agreement_scores(test.truth, posteriors, votes, test.labels, test.scheme.get("label_map"))
        rows.append([words(system)])
        for part in (found["full"], found["partial"]):
            rows[-1] += [str(part["segments"]), percent(part["ua"]), percent(part["wa"])]
        rows[-1] += [MISSING if found[x] is None else f"{found[x]:.3f}" for x in ("cross_entropy", "entropy")]
    columns = ["system", "all agree: segments", "UA [%]", "WA [%]", "not all: segments", "UA [%]", "WA [%]",
               "cross-entropy to the votes", "the votes' entropy"]  # fmt: skip
    notes = (
        "The raters agree where all chose one of the experiment's classes (“prototypical” in Mower et al. 2011).",
        "Cross-entropy of the posteriors to the shares of the votes, in nats (Uma et al. 2021); the votes' own entropy is"
        " the least that it can be.",
    )
    title = f"Rater agreement: {experiment.short}"
    return Table(f"raters-{experiment.name}", title, columns, rows, experiment.stamps, notes)
