"""Systems under several conditions: how figures depend on the protocol, and what perturbed test audio costs.

EXP-DIR/inflation and EXP-DIR/robustness hold a JSON file per system, which egs/benchmark/local/differences.py writes:
`units`, in words, and `conditions`, each with `name`, `ua`, `wa`, `intervals`, `stamps` and its `differences` from the first
one (`value`, `interval`, `holm`: p corrected over the conditions).
"""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from sertk.datadir.records import read_json
from sertk.errors import SertkError
from sertk.report.differences import points
from sertk.report.document import MISSING, Figure, Section, Table, interval, percent
from sertk.report.drawing import INK, figure, look_of
from sertk.report.lettering import cut
from sertk.report.systems import ordered
from sertk.scoring.intervals import Ends
from sertk.scoring.paired import Difference
from sertk.scoring.text import p_value

MEASURES = ("ua", "wa")
# Folder -> title of the section, and what a reader must know.
SECTIONS = {
    "inflation": (
        "Effect of the protocol",
        "Speakers apart is the protocol of this report. Figures with speakers in both training and test, or with the epoch"
        " selected on the test, are not results: the differences show how much such protocols add.",
    ),
    "robustness": (
        "Perturbed test audio",
        "Systems that were trained on clean audio, tested on perturbed copies of their test segments.",
    ),
}


@dataclass(frozen=True)
class Condition:
    """A system's figures under one condition.

    Args:
        name: in words.
        accuracies: "ua" and "wa", pooled, as fractions.
        intervals: their 95 % intervals.
        stamps: words that must stand beside the figures.
        differences: in "ua" and "wa" from the first condition, with p corrected by Holm's method; none for the first one.
    """

    name: str
    accuracies: dict[str, float]
    intervals: dict[str, Ends]
    stamps: tuple[str, ...]
    differences: dict[str, Difference]


@dataclass(frozen=True)
class Conditions:
    """A system under several conditions.

    Args:
        system: its name.
        units: what the intervals generalise over, in words: "24 speakers in 6 folds".
        rows: the conditions; the first one is what the others are compared with.
    """

    system: str
    units: str
    rows: list[Condition]


def conditions_sections(folder: Path) -> list[Section]:
    """The sections on protocol and perturbed audio; without items if an experiment folder has no such files.

    Raises:
        SertkError: as `read_conditions`.
    """
    sections = []
    for name, (title, meaning) in SECTIONS.items():
        section = Section(f"{name}-section", title)
        if systems := [read_conditions(path) for path in sorted((folder / name).glob("*.json"))]:
            section.items += [
                conditions_figure(name, title, systems),
                conditions_table(name, title, systems, meaning),
            ]
        sections.append(section)
    return sections


def read_conditions(path: Path) -> Conditions:
    """Read the conditions of one system. Raises SertkError if fields are missing or of another kind."""
    content = read_json(path)
    try:
        rows = [_condition(row) for row in content["conditions"]]
        if len(rows) < 2 or any(set(row.differences) < set(MEASURES) for row in rows[1:]):
            raise ValueError("no differences")
        return Conditions(path.stem, str(content["units"]), rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SertkError(f"{path}: not what local/differences.py writes: {error!r}") from None


def _condition(row: dict) -> Condition:
    """One entry of the file."""
    return Condition(
        str(row["name"]),
        {what: float(row[what]) for what in MEASURES},
        {what: _ends(row["intervals"][what]) for what in MEASURES},
        tuple(map(str, row["stamps"])),
        {
            what: Difference(float(found["value"]), _ends(found["interval"]), float(found["holm"]))
            for what, found in row["differences"].items()
        },
    )


def _ends(ends: list) -> Ends:
    """The two ends of an interval, None if undefined."""
    low, high = (None if end is None else float(end) for end in ends)
    return low, high


def conditions_table(name: str, title: str, systems: list[Conditions], meaning: str) -> Table:
    """UA and WA of every system under every condition, with the differences from the first one."""
    rows = []
    for system in systems:
        for condition in system.rows:
            row = [system.system, " ".join([condition.name, *condition.stamps])]
            for what in MEASURES:
                difference = condition.differences.get(what)
                row.append(f"{percent(condition.accuracies[what], 1)} ({interval(condition.intervals[what])})")
                row += [points(difference), p_value(difference.p)] if difference else [MISSING, MISSING]
            rows.append(row)
    columns = ["system", "condition", "UA [%] (95 %)", "difference, points (95 %)", "p",
               "WA [%] (95 %)", "difference, points (95 %)", "p"]  # fmt: skip
    units = " and ".join(dict.fromkeys(system.units for system in systems))
    notes = (
        meaning,
        f"Pooled figures. Differences are from the system's first condition, on the same segments, by {units}; p is corrected by"
        " Holm's method over the conditions of a system.",
    )
    return Table(f"{name}-conditions", f"{title}: figures", columns, rows, _stamps(systems), notes, words=2)


def conditions_figure(name: str, title: str, systems: list[Conditions]) -> Figure:
    """Differences in UA from the first condition, with intervals: a row per condition, a marker per system."""
    names = list(dict.fromkeys(row.name for system in systems for row in system.rows[1:]))
    drawn = {(k, row.name): row.differences["ua"] for k, system in enumerate(systems) for row in system.rows[1:]}
    step = 0.8 / (len(systems) + 1)

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvline(0, color=INK, linewidth=1.2)
        for (k, condition), difference in drawn.items():
            _mark(axes, difference, names.index(condition) - 0.4 + (k + 1) * step, k)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), [cut(condition, 40) for condition in names])
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"difference in UA from “{systems[0].rows[0].name}”, points")
        handles = [
            axes.plot([], [], **look_of(k), linewidth=2, label=cut(s.system, 60))[0] for k, s in enumerate(systems)
        ]
        canvas.legend(handles=handles, loc="outside lower left", ncols=1 + (len(systems) > 3))

    alt = f"Differences in UA from {systems[0].rows[0].name}, with 95 % intervals: " + "; ".join(
        f"{systems[k].system}, {condition} {points(difference)}" for (k, condition), difference in drawn.items()
    )
    notes = ("Lines are 95 % intervals, paired over speakers.",)
    size = (5.4, 1.0 + len(names) * (0.2 + 0.13 * len(systems)) + 0.2 * len(systems))
    return figure(name, title, draw, size, alt, _stamps(systems), notes)


def _mark(axes: Axes, difference: Difference, height: float, number: int) -> None:
    """Draw a difference with its interval."""
    look = look_of(number)
    axes.plot([100 * end for end in difference.interval], [height] * 2, color=look["color"], linewidth=2)
    axes.plot(100 * difference.value, height, markersize=6, linestyle="none", **look)


def _stamps(systems: list[Conditions]) -> tuple[str, ...]:
    """The stamps of all conditions."""
    return ordered(stamp for system in systems for row in system.rows for stamp in row.stamps)
