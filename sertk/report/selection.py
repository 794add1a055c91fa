"""Comparison of model selection rules: how much selecting the epoch on the test fold inflates results."""

from sertk.report.differences import compared, points
from sertk.report.document import MISSING, Table, percent
from sertk.report.systems import Experiment, System, ordered

# In the order shown: the paper's rule, a rule without test data, an upper bound.
RULES = ("last", "dev-session", "oracle")


def selection_table(experiment: Experiment) -> Table | None:
    """Systems that differ only in the model selection rule, side by side; None if there are none."""
    families: dict[str, dict[str, System]] = {}
    for system in [*experiment.systems, *experiment.picked]:
        families.setdefault(system.family, {})[system.rule] = system
    families = {name: by_rule for name, by_rule in families.items() if len(by_rule) > 1}
    if not families:
        return None
    rows, stamps = [], []
    for by_rule in families.values():
        for rule in sorted(by_rule, key=lambda rule: RULES.index(rule) if rule in RULES else len(RULES)):
            system, last = by_rule[rule], by_rule.get("last")
            stamps += system.stamps
            against = compared(experiment, system, last) if last and system is not last else None
            own = [stamp for stamp in system.stamps if stamp not in experiment.stamps]
            rows.append([
                " ".join([(last or system).what or system.family, f"({system.name})"]), " ".join([rule, *own]),
                chosen_epochs(system), percent(system.results["mean"]["ua"]), percent(system.results["mean"]["wa"]),
                points(against.ua) if against else MISSING, points(against.wa) if against else MISSING,
            ])  # fmt: skip
    notes = (
        "last: the last epoch, no selection. dev-session: one more session is held out from training, and its UA selects the"
        " epoch. oracle: the UA of the test fold selects the epoch, which is impossible in practice: the gain over “last” is"
        " optimistic bias.",
        "UA and WA are means over folds; differences are of pooled figures, with 95 % intervals clustered by speaker (speakers"
        " scored by one fold's network are one cluster).",
    )
    columns = ["system", "selection rule", "selected epochs", "UA [%]", "WA [%]", "UA minus last, points (95 %)",
               "WA minus last, points (95 %)"]  # fmt: skip
    title = f"Model selection: {experiment.short}"
    return Table(f"selection-{experiment.name}", title, columns, rows, ordered(stamps), notes, words=3)


def chosen_epochs(system: System) -> str:
    """The selected epoch of each fold, a dash if not recorded."""
    records = [(settings or {}).get("trained_on") or {} for settings in system.scored.settings.values()]
    return ", ".join(str(record.get("chosen_epoch", MISSING)) for record in records)
