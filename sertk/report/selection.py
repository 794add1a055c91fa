"""Model selection rules side by side: how much choosing the epoch on the test itself inflates results."""

from sertk.report.differences import compared, points
from sertk.report.document import MISSING, Table, percent
from sertk.report.systems import Experiment, System, ordered

# From the paper's, over the honest one, to what nobody can do in use.
RULES = ("last", "dev-session", "oracle")


def selection_table(experiment: Experiment) -> Table | None:
    """The systems of one family under the rules that it was run with; None where none has two of them."""
    families: dict[str, dict[str, System]] = {}
    for system in [*experiment.systems, *experiment.picked]:
        families.setdefault(system.family, {})[system.rule] = system
    families = {name: found for name, found in families.items() if len(found) > 1}
    if not families:
        return None
    rows, stamps = [], []
    for found in families.values():
        for rule in sorted(found, key=lambda rule: RULES.index(rule) if rule in RULES else len(RULES)):
            system, last = found[rule], found.get("last")
            stamps += system.stamps
            against = compared(experiment, system, last) if last and system is not last else None
            own = [stamp for stamp in system.stamps if stamp not in experiment.stamps]
            rows.append([
                " ".join([(last or system).what or system.family, f"({system.name})"]), " ".join([rule, *own]),
                chosen_epochs(system), percent(system.results["mean"]["ua"]), percent(system.results["mean"]["wa"]),
                points(against.ua) if against else MISSING, points(against.wa) if against else MISSING,
            ])  # fmt: skip
    notes = (
        "last: the last epoch, nothing is chosen. dev-session: one more fold is held out of the training, and its UA"
        " chooses; the network has one session less to learn from. oracle: the UA of the held-out fold itself chooses,"
        " which nobody can do in use: what it is above “last”, from the same training, is inflation.",
        "UA and WA are means over the folds; differences are of the pooled figures, with 95 % intervals by speakers, those of"
        " one fold's network together.",
    )
    columns = ["system", "epoch chosen by", "epochs of the folds", "UA [%]", "WA [%]", "UA less last, points (95 %)",
               "WA less last, points (95 %)"]  # fmt: skip
    title = f"Model selection: {experiment.short}"
    return Table(f"selection-{experiment.name}", title, columns, rows, ordered(stamps), notes, words=3)


def chosen_epochs(system: System) -> str:
    """The epoch of each fold, where its model says it."""
    records = [(settings or {}).get("trained_on") or {} for settings in system.scored.settings.values()]
    return ", ".join(str(record.get("chosen_epoch", MISSING)) for record in records)
