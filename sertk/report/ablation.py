"""Ablation of transfer learning, masks and statistics pooling (Fig. 4).

EXP-DIR/ablation holds one folder per cell, at any depth, with score-loso's results.json and a cell.json:

    {"experiment": "exp1", "transfer": true, "masks": true, "pooling": false, "seed": 0}

Cells that differ only in the seed are repetitions: their folds are pooled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from sertk.datadir.records import read_json
from sertk.errors import SertkError
from sertk.report.document import Figure, Table, interval, percent
from sertk.report.drawing import COLOURS, INK, figure
from sertk.report.lettering import wrapped
from sertk.report.systems import ordered
from sertk.scoring.groups import unit_words
from sertk.scoring.intervals import Ends
from sertk.scoring.leakguard import DEPENDENT

PARTS = {"transfer": "TL", "masks": "Aug", "pooling": "SP"}
# Colour shows the number of parts; labels name them.
FACES = ("#8c939d", COLOURS[5], COLOURS[4], COLOURS[0])

Cell = tuple[str, tuple[bool, bool, bool]]  # experiment; with transfer, masks, pooling


@dataclass(frozen=True)
class Cells:
    """The cells of an ablation.

    Args:
        accuracies: cell -> WA of every fold, as fractions.
        intervals: cell -> 95 % interval of the pooled WA of every seed, as fractions.
        units: what the intervals generalise over, in words: "10 speakers".
        stamps: stamps of any cell.
        scheme: the scheme of all folds.
        seeds: number of seeds.
    """

    accuracies: dict[Cell, list[float]]
    intervals: dict[Cell, list[Ends]]
    units: str
    stamps: tuple[str, ...]
    scheme: str
    seeds: int


def read_cells(folder: Path, titles: Mapping[str, str]) -> Cells | None:
    """Read the cells of an ablation, None if there are none.

    Args:
        folder: the ablation folder.
        titles: name of an experiment -> its title.

    Raises:
        SertkError: a file lacks a field, or cells were scored with different schemes.
    """
    paths = sorted(path for path in folder.rglob("cell.json") if (path.parent / "results.json").exists())
    accuracies: dict[Cell, list[float]] = {}
    intervals: dict[Cell, list[Ends]] = {}
    stamps, schemes, seeds, units = [], {}, set(), {}
    for path in paths:
        cell, results = read_json(path), read_json(path.parent / "results.json")
        try:
            key = (titles.get(cell["experiment"], cell["experiment"]), tuple(bool(cell[part]) for part in PARTS))
            accuracies.setdefault(key, []).extend(fold["wa"] for fold in results["folds"].values())
            ends = results["intervals"][results["unit"]]
            intervals.setdefault(key, []).append(ends["wa"])
            units[unit_words(results["unit"], ends["clusters"], ends["units"])] = path
            stamps += results["stamps"]
            schemes.setdefault(results["scheme"], path)
            seeds.add(cell["seed"])
        except KeyError as error:
            raise SertkError(f"{path.parent}: cell.json or results.json lacks {error}") from None
    if not accuracies:
        return None
    if len(schemes) > 1:
        first, other = list(schemes.items())[:2]
        raise SertkError(
            f"cells of one figure were scored with different schemes: {first[1]} {first[0]}, {other[1]} {other[0]}"
        )
    return Cells(accuracies, intervals, " or ".join(units), ordered(stamps), str(next(iter(schemes))), len(seeds))


def parts_table(cells: Cells) -> Table:
    """Contribution of each part: mean difference between pairs of cells with and without it."""
    rows = []
    for experiment in sorted({experiment for experiment, _ in cells.accuracies}):
        mean = {
            parts: np.mean(accuracies) for (name, parts), accuracies in cells.accuracies.items() if name == experiment
        }
        for k, (part, short) in enumerate(PARTS.items()):
            without = [parts for parts in mean if not parts[k] and (*parts[:k], True, *parts[k + 1 :]) in mean]
            gains = [100 * (mean[(*parts[:k], True, *parts[k + 1 :])] - mean[parts]) for parts in without]
            if gains:
                figures = [f"{x:+.2f}" for x in (np.mean(gains), min(gains), max(gains))]
                rows.append([experiment, f"{part} ({short})", *figures, str(len(gains))])
    columns = ["experiment", "part", "mean difference in WA, points", "min", "max", "pairs of cells"]
    seeds = "with one training run per cell" if cells.seeds == 1 else f"with {cells.seeds} seeds per cell"
    notes = (
        "WA with the part minus WA without it, all else equal, averaged over such pairs of cells; WA is the mean over folds."
        f" There is no interval or test: folds of a cell are not independent repetitions, {seeds}.",
    )
    return Table("ablation-parts", "Contribution of each part", columns, rows, cells.stamps, notes, words=2)


def ablation_figure(cells: Cells) -> Figure:
    """Bar chart of the cells (Fig. 4)."""
    accuracies, stamps, scheme, repeats = cells.accuracies, cells.stamps, cells.scheme, cells.seeds
    experiments = sorted({experiment for experiment, _ in accuracies})
    kinds = sorted({parts for _, parts in accuracies}, key=lambda parts: (sum(parts), parts[::-1]))
    statistics = {
        key: (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)
        for key, values in accuracies.items()
    }

    def draw(canvas: Canvas) -> None:
        grid = canvas.subplots(1, len(experiments), sharey=True, squeeze=False)[0]
        for axes, experiment in zip(grid, experiments):
            present = [parts for parts in kinds if (experiment, parts) in statistics]
            bars = [statistics[experiment, parts] for parts in present]
            drawn = axes.bar(range(len(bars)), [100 * mean for mean, _ in bars], 0.72,
                             yerr=[100 * (deviation or 0) for _, deviation in bars], capsize=3,
                             color=[FACES[sum(parts)] for parts in present],
                             error_kw={"ecolor": INK, "elinewidth": 1.1})  # fmt: skip
            axes.bar_label(drawn, [_bar_words(*bar) for bar in bars], padding=2, fontsize=7)
            axes.set_xticks(range(len(bars)), [_label(parts).replace(" + ", "\n") for parts in present])
            axes.margins(y=0.17)  # room for the labels
            axes.grid(False, axis="x")
            axes.set_title(wrapped(experiment, max(8, 6 * len(bars))))
        grid[0].set_ylabel("WA [%]")

    rows = []
    for (experiment, parts), (mean, deviation) in sorted(statistics.items()):
        ends = np.mean(np.array(cells.intervals[experiment, parts], dtype=np.float64), axis=0)
        number = str(len(accuracies[experiment, parts]))
        shown = interval([None if np.isnan(end) else end for end in ends])
        rows.append([experiment, _label(parts), percent(mean), percent(deviation), number, shown])
    columns = ["experiment", "with", "WA [%]", "± folds", "folds", f"95 % by {cells.units}"]
    table = Table("ablation-numbers", "Data of the figure", columns, rows, stamps, words=2)
    dependent = (
        "Speakers occur in both training and test: these results are speaker-dependent." if DEPENDENT in stamps else ""
    )
    notes = (
        "TL: transfer learning from the speaker network; Aug: masks in training; SP: statistics pooling. Bars: means over the"
        f" {scheme} folds{f' of {repeats} seeds' if repeats > 1 else ''}, error bars and ±: standard deviation;"
        " colour: number of parts.",
        f"In the data of the figure: the 95 % interval of the pooled WA by {cells.units}"
        + (", mean over the seeds of its ends (which is conservative)." if repeats > 1 else "; one training run."),
        *filter(None, [dependent]),
    )
    alt = "Bar chart of WA with and without transfer, masks and pooling: " + "; ".join(
        f"{row[0]}, {row[1]}: {row[2]} %" for row in rows
    )
    size = (max(4.5, 0.5 * len(accuracies) + 1.2), 3.4)
    return figure("figure-4", "Figure 4. Ablation", draw, size, alt, stamps, notes, table)


def _bar_words(mean: float, deviation: float | None) -> str:
    """Mean and standard deviation in per cent, on two lines."""
    return f"{100 * mean:.1f}" + (f"\n±{100 * deviation:.1f}" if deviation is not None else "")


def _label(parts: tuple[bool, bool, bool]) -> str:
    """The parts of a cell: `TL + SP`."""
    return " + ".join(name for name, used in zip(PARTS.values(), parts) if used) or "none"
