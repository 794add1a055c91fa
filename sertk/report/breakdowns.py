"""For whom, and where: parts of the test scored apart, and scores that know of the raters."""

from collections.abc import Mapping

from sertk.report.data import Data
from sertk.report.document import MISSING, Table, percent
from sertk.report.figures import words
from sertk.report.systems import Experiment, System
from sertk.report.tables import accuracy_cells
from sertk.scoring.agreement import agreement_scores
from sertk.scoring.groups import known_groups
from sertk.scoring.results import breakdown

Parts = dict[str, Mapping[str, dict]]  # a group's name -> value -> what score-loso's `by` holds


def breakdowns(system: System, experiment: Experiment, data: Data | None) -> Parts:
    """Accuracies of all that the data folder knows (`known_groups`), and those that score-loso left."""
    test = experiment.test
    found = dict(system.results["by"])
    if data:
        for name, values in known_groups(data.folder, test.keys, test.scheme.get("label_map")).items():
            found[name] = breakdown(test.truth, system.scored.guess, values, test.labels)
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
                row += [percent(there["ua"]), percent(there["wa"])] if there else [MISSING, MISSING]
            rows.append(row)
    names = [system.what or system.name for system in systems]
    columns = ["by", "part", "segments", *(f"{name}: {what} [%]" for name in names for what in ("UA", "WA"))]
    notes = ("UA is the mean recall of the classes that the part has; parts of a few dozen segments say little.",)
    title = f"For whom, and where: {experiment.short}"
    tables = [Table(f"by-{experiment.name}", title, columns, rows, experiment.stamps, notes, words=2)]
    for system in systems:
        labels = system.results["labels"]
        columns = ["by", "part", "segments", "UA [%]", "WA [%]", *(f"recall {label} [%]" for label in labels)]
        rows = [
            [group, value, *accuracy_cells(found, labels)]
            for group, parts in of_system[system.name].items()
            for value, found in parts.items()
        ]
        title = f"The same with each class's recall: {experiment.short}, {words(system)}"
        tables.append(Table(f"by-{system.name}-recalls", title, columns, rows, system.stamps, words=2, folded=True))
    return tables


def raters_table(experiment: Experiment, data: Data | None) -> Table | None:
    """How the systems do where all raters agree, and how near they come to the votes; None without votes."""
    if not data or not data.votes:
        return None
    test, rows = experiment.test, []
    votes = [data.votes.get(key, []) for key in test.keys]
    for system in experiment.systems:
        found = agreement_scores(test.truth, system.scored.posteriors, votes, test.labels, test.scheme.get("label_map"))
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
    title = f"Against the raters: {experiment.short}"
    return Table(f"raters-{experiment.name}", title, columns, rows, experiment.stamps, notes)
