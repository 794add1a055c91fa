"""Results by subgroup (gender, age, dialog type, length, speaker), the gaps between groups, and rater agreement."""

from collections.abc import Mapping

import numpy as np

from sertk.report.data import Data
from sertk.report.document import MISSING, Table, interval, percent
from sertk.report.figures import words
from sertk.report.systems import Experiment, System
from sertk.report.tables import accuracy_cells
from sertk.scoring.agreement import agreement_scores
from sertk.scoring.fairness import corrected, gaps
from sertk.scoring.groups import known_groups
from sertk.scoring.results import breakdown
from sertk.scoring.testset import known_clusters
from sertk.scoring.text import gap_notes, p_value

Parts = dict[str, Mapping[str, dict]]  # name of a group -> value -> accuracies, as `by` in results.json


def breakdowns(system: System, experiment: Experiment, data: Data | None) -> Parts:
    """Accuracies by the groups of results.json and of the data folder, without groups of a single value."""
    test = experiment.test
    parts_of = dict(system.results["by"])
    clusters = next(iter(known_clusters(test).values()), None)
    if data:
        for name, values in known_groups(data.folder, test.keys, test.scheme.get("label_map")).items():
            parts_of[name] = breakdown(test.truth, system.guess, values, test.labels, clusters, test.fold)
    return {name: parts for name, parts in parts_of.items() if len(parts) > 1}


def breakdown_tables(experiment: Experiment, data: Data | None) -> list[Table]:
    """Accuracies by subgroup: one table of all systems, and for each system a collapsed table of recalls.

    Args:
        experiment: systems with the model selection rule of the first one are shown.
        data: the data folder, if known.

    Returns:
        the tables; [] without groups.
    """
    systems = [system for system in experiment.systems if system.rule == experiment.systems[0].rule]
    of_system = {system.name: breakdowns(system, experiment, data) for system in systems}
    first = of_system[systems[0].name]
    if not first:
        return []
    rows = []
    for group, parts in first.items():
        for value, first_part in parts.items():
            row = [group, value, str(first_part["segments"])]
            for system in systems:
                part = of_system[system.name].get(group, {}).get(value)
                row += [with_interval(part, what) for what in ("ua", "wa")] if part else [MISSING, MISSING]
            rows.append(row)
    names = [system.what for system in systems]
    if len(set(names) - {""}) < len(systems):
        names = [system.name for system in systems]
    columns = ["by", "group", "segments", *(f"{name}: {what} [%] (95 %)" for name in names for what in ("UA", "WA"))]
    notes = (
        "UA: mean recall of the classes that occur in the group. Intervals are clustered by speaker; speakers scored by"
        " one fold's network are one cluster; a group of one cluster has no interval.",
    )
    title = f"Results by subgroup: {experiment.short}"
    tables = [Table(f"by-{experiment.name}", title, columns, rows, experiment.stamps, notes, words=2)]
    for system in systems:
        labels = system.results["labels"]
        columns = ["by", "group", "segments", "UA [%]", "WA [%]", *(f"recall {label} [%]" for label in labels)]
        rows = [
            [group, value, *accuracy_cells(part, labels)]
            for group, parts in of_system[system.name].items()
            for value, part in parts.items()
        ]
        title = f"Recall of each class by subgroup: {experiment.short}, {words(system)}"
        tables.append(Table(f"by-{system.name}-recalls", title, columns, rows, system.stamps, words=2, folded=True))
    return tables


def gaps_table(experiment: Experiment, data: Data | None) -> Table | None:
    """Largest gaps between groups of speakers, with the tests against chance; None without groups of enough speakers."""
    test, rows, notes = experiment.test, [], []
    groups = known_groups(data.folder, test.keys, test.scheme.get("label_map")) if data else {}
    speakers = known_clusters(test).get("utt2spk")
    for system in experiment.systems:
        found = dict(system.results.get("gaps", {}))
        if groups and speakers:
            found = corrected(found | gaps(test.truth, system.guess, speakers, groups, test.labels))
        for name, part in found.items():
            for what in ("ua", "recall"):
                gap = part[what]
                measure = "UA" if what == "ua" else f"recall {gap['label']}"
                ends = [f"{gap[end]} ({part['speakers'][gap[end]]} speakers)" for end in ("high", "low")]
                cells = [percent(gap["gap"]), p_value(gap["p"]), p_value(gap["holm"])]
                rows.append([words(system), name, measure, *ends, *cells])
        notes = notes or (gap_notes(found) if found else [])
    if not rows:
        return None
    columns = ["system", "by", "in", "highest", "lowest", "gap [points]", "p", "p (Holm)"]
    title = f"Largest gaps between groups of speakers: {experiment.short}"
    return Table(f"gaps-{experiment.name}", title, columns, rows, experiment.stamps, tuple(notes), words=5)


def with_interval(part: Mapping, what: str) -> str:
    """An accuracy of a group in per cent, with its interval if there is one."""
    ends = part["interval"] and part["interval"][what]
    return percent(part[what]) + (f" ({interval(ends)})" if ends and None not in ends else "")


def raters_table(experiment: Experiment, data: Data | None) -> Table | None:
    """Accuracies by rater agreement, and cross-entropy with the votes; None without votes."""
    if not data or not data.votes:
        return None
    test, rows = experiment.test, []
    votes = [data.votes.get(key, []) for key in test.keys]
    for system in experiment.systems:
        posteriors = np.mean([scored.posteriors for scored in system.runs], axis=0)
        scores = agreement_scores(test.truth, posteriors, votes, test.labels, test.scheme.get("label_map"))
        rows.append([words(system)])
        for part in (scores["full"], scores["partial"]):
            rows[-1] += [str(part["segments"]), percent(part["ua"]), percent(part["wa"])]
        rows[-1] += [MISSING if scores[x] is None else f"{scores[x]:.3f}" for x in ("cross_entropy", "entropy")]
    columns = ["system", "unanimous: segments", "UA [%]", "WA [%]", "majority only: segments", "UA [%]", "WA [%]",
               "cross-entropy with the votes", "entropy of the votes"]  # fmt: skip
    notes = (
        "Unanimous: all raters chose the same class (“prototypical” in Mower et al. 2011).",
        "Cross-entropy between the distribution of the votes and the posteriors, in nats (Uma et al. 2021); its lower bound is"
        " the entropy of the votes.",
    )
    title = f"Rater agreement: {experiment.short}"
    return Table(f"raters-{experiment.name}", title, columns, rows, experiment.stamps, notes)
