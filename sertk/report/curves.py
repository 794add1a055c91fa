"""Learning curves of several runs in one figure, from their train.jsonl."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from sertk.errors import SertkError
from sertk.report.document import Figure
from sertk.report.drawing import COLOURS, DASHES, MARKERS, figure, legend_below
from sertk.report.figures import CURVES
from sertk.report.histories import read_histories
from sertk.report.lettering import cut
from sertk.scoring.columns import cells

# Runs of so few epochs have a marker at every epoch.
FEW = 12


def read_runs(folders: Sequence[Path]) -> dict[str, list[list[dict]]]:
    """Read train.jsonl of each run.

    Args:
        folders: run folders; a folder of folds is one run.

    Returns:
        folder -> the epoch records of each fold.

    Raises:
        SertkError: a folder has no train.jsonl with a finished epoch.
    """
    runs = {}
    for folder in folders:
        histories = [records for records in read_histories(folder).values() if records]
        if not histories:
            raise SertkError(f"{folder}: no train.jsonl with a finished epoch in it or its folds")
        runs[str(folder)] = histories
    return runs


def curves(histories: list[list[dict]], quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """A quantity of each fold over epochs.

    Args:
        histories: epoch records of each fold.
        quantity: a field of the records.

    Returns:
        epochs (epochs,) and values (folds, epochs), NaN if not recorded.

    Example:
        >>> curves([[{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}], [{"epoch": 1, "loss": 4.0}]], "loss")
        (array([1, 2]), array([[ 2.,  1.],
               [ 4., nan]]))
    """
    epochs = np.array(sorted({record["epoch"] for records in histories for record in records}))
    values = np.full((len(histories), len(epochs)), np.nan)
    for row, records in zip(values, histories):
        for record in records:
            row[np.searchsorted(epochs, record["epoch"])] = record.get(quantity, np.nan)
    return epochs, values


def runs_figure(runs: dict[str, list[list[dict]]]) -> Figure:
    """One panel per quantity and one colour per run; folds are thin lines with their mean."""
    recorded = {name for histories in runs.values() for records in histories for record in records for name in record}
    panels = [panel for panel in CURVES if panel[0] in recorded]
    across = 2 if len(panels) in (2, 4) else 3
    rows = -(-len(panels) // across)

    def draw(canvas: Canvas) -> None:
        grid, lines = list(canvas.subplots(rows, across, squeeze=False).flat), []
        for axes, (quantity, label, scale) in zip(grid, panels):
            for number, histories in enumerate(runs.values()):
                epochs, values = curves(histories, quantity)
                look = {"color": COLOURS[number % 6], "linestyle": DASHES[number % 6]}
                for row in values if len(values) > 1 else ():
                    axes.plot(epochs, scale * row, **look, linewidth=0.7, alpha=0.5)
                complete = ~np.isnan(values).any(axis=0)  # no mean of epochs that a fold lacks
                lines += axes.plot(epochs[complete], scale * values[:, complete].mean(axis=0), **look, linewidth=1.8,
                                   marker=MARKERS[number % 6] if len(epochs) <= FEW else None, markersize=3.5)  # fmt: skip
            axes.set_title(label, fontweight="normal", fontsize=9)
            axes.set_xlabel("epoch")
            axes.set_ylim(bottom=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        names = [cut(name.encode(errors="replace").decode(), 34 * across) for name in runs]  # may not be UTF-8
        columns = max(1, 30 * across // (max(map(cells, names)) + 8))
        legend_below(canvas, lines[: len(runs)], names, columns)

    size = (2.9 * across + 0.3, 2.4 * rows + 0.3 + 0.2 * len(runs))
    return figure("training", "Training", draw, size, f"Training curves of {', '.join(runs)}")
