"""Figures of results: confusion matrices (Fig. 3), learning curves, calibration."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from sertk.report.document import MISSING, Figure, Table, percent
from sertk.report.drawing import COLOURS, DASHES, INK, LINE, figure, look_of
from sertk.report.lettering import cut, names_in_figure
from sertk.report.systems import Experiment, System
from sertk.scoring.columns import cells

CURVES = (
    ("loss", "loss", 1),
    ("accuracy", "training accuracy [%]", 100),
    ("dev_ua", "UA on the selection set [%]", 100),
    ("learning_rate", "learning rate", 1),
    ("chunks_per_second", "chunks a second", 1),
)

# Width in inches of a letter, of a bold letter in a title, and of a cell of a matrix.
LETTER, BOLD, CELL = 0.078, 0.097, 0.58
# Bins with fewer segments are not drawn.
FEW = 5


def confusion_figure(experiments: list[Experiment], name: str, stamps: tuple[str, ...]) -> Figure:
    """Confusion matrices of the first system of each experiment, row-normalised, with counts (Fig. 3)."""
    titles = [experiment.short for experiment in experiments]
    results = [experiment.systems[0].results for experiment in experiments]

    most = max(len(r["labels"]) for r in results)
    names = [names_in_figure(r["labels"]) for r in results]
    longest = max(name.width for name in names)
    side = max(2.3, CELL * most)  # inches of the matrix
    turned = LETTER * longest > side / most
    beside = 0.45 + LETTER * longest

    def draw(canvas: Canvas) -> None:
        grid = canvas.subplots(1, len(results), squeeze=False)[0]
        for axes, title, r, name in zip(grid, titles, results, names):
            _matrix(axes, title, r, name.shown, turned, side)

    alt = "Confusion matrices, rows the truth: " + "; ".join(
        f"{title}: " + ", ".join(f"{label} {percent(r['confusion']['rows'][k][k], 0)} % correct"
                                 for k, label in enumerate(r["labels"]))
        for title, r in zip(titles, results)
    )  # fmt: skip
    rows = [
        [title, label, *(f"{n} ({percent(part, 1)} %)" for n, part in zip(counts, parts))]
        for title, r in zip(titles, results)
        for label, counts, parts in zip(r["labels"], r["confusion"]["counts"], r["confusion"]["rows"])
    ]
    same = all(r["labels"] == results[0]["labels"] for r in results)
    heads = [f"as {label}" for label in results[0]["labels"]] if same else [f"as class {k + 1}" for k in range(most)]
    table = Table(f"{name}-numbers", "Data of the figure", ["experiment", "truth", *heads], rows, words=2)
    notes = (
        "Rows: truth; columns: predictions. Per cent of each row, and counts summed over folds and training runs.",
    )
    shown = [f"{e.short}, {words(e.systems[0])}" for e in experiments if len(e.systems) > 1]
    notes += (f"Shown: {'; '.join(shown)}.",) if shown else ()
    notes += tuple(dict.fromkeys(name.key for name in names if name.key))
    title = "Figure 3. " * any(experiment.of_paper for experiment in experiments) + "Confusion matrices"
    size = (len(results) * (side + beside) + 0.3, side + 1.0 + (LETTER * longest if turned else 0.15))
    return figure(name, title, draw, size, alt, stamps, notes, table)


def _matrix(axes: Axes, title: str, results: dict, names: list[str], turned: bool, width: float) -> None:
    """Draw one confusion matrix.

    Args:
        axes: where to draw.
        title: title.
        results: of score-loso.
        names: labels as displayed.
        turned: True: labels below the matrix are vertical.
        width: room for the title in inches.
    """
    labels, counts = results["labels"], results["confusion"]["counts"]
    rows = np.array([[np.nan if x is None else x for x in row] for row in results["confusion"]["rows"]], dtype=float)
    axes.imshow(rows, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.grid(False)
    for k, row in enumerate(counts):
        for j, count in enumerate(row):
            dark = rows[k, j] > 0.55
            colour = "#ffffff" if dark else "#08131f"
            axes.text(j, k - 0.08, percent(None if np.isnan(rows[k, j]) else rows[k, j], 1), ha="center", va="center",
                      color=colour, fontsize=9.5, fontweight="bold" if k == j else "normal")  # fmt: skip
            axes.text(j, k + 0.25, str(count), ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(labels)), names, rotation=90 if turned else 0)
    axes.set_yticks(range(len(labels)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    accuracies = f"UA {percent(results['mean']['ua'], 1)}  WA {percent(results['mean']['wa'], 1)}"
    room = int(width / BOLD)
    line = f"{title}: {accuracies}"
    axes.set_title(line if cells(line) <= room else f"{cut(title, room)}\n{accuracies}")


def curves_figure(name: str, title: str, histories: dict[str, list[dict]], stamps: tuple[str, ...]) -> Figure | None:
    """Learning curves of a system: one panel per quantity, thin lines for folds and a thick one for their mean.

    Args:
        name: identifier of the figure.
        title: title.
        histories: fold -> epoch records of its train.jsonl.
        stamps: words that the title carries.

    Returns:
        the figure; None without records.
    """
    panels = [panel for panel in CURVES if any(panel[0] in record for run in histories.values() for record in run)]
    if not panels:
        return None

    def draw(canvas: Canvas) -> None:
        grid = canvas.subplots(1, len(panels), squeeze=False)[0]
        for axes, (quantity, label, scale), colour in zip(grid, panels, COLOURS):
            lines = [(_column(run, "epoch"), scale * _column(run, quantity)) for run in histories.values()]
            for epochs, values in lines:
                axes.plot(epochs, values, color=colour, linewidth=0.8 if len(lines) > 1 else 1.8,
                          alpha=0.55 if len(lines) > 1 else 1, marker="o" if len(epochs) < 3 else None)  # fmt: skip
            if len(lines) > 1 and len({len(epochs) for epochs, _ in lines}) == 1:
                axes.plot(lines[0][0], np.mean([values for _, values in lines], axis=0), color=colour, linewidth=2.2)
            axes.set_title(label, fontweight="normal", fontsize=9)
            axes.set_xlabel("epoch")
            axes.set_ylim(bottom=0)
            axes.xaxis.get_major_locator().set_params(integer=True)

    rows = []
    for fold, run in histories.items():
        last = run[-1] if run else {}
        cells = [last.get(quantity) for quantity, _, _ in panels]
        rows.append([fold or "all", str(len(run)), *(MISSING if x is None else f"{x:.4g}" for x in cells)])
    table = Table(f"{name}-numbers", "Last epoch of each run", ["fold", "epochs", *(p[0] for p in panels)], rows)
    folds = f"{len(histories)} folds and their mean" if len(histories) > 1 else "one run"
    alt = f"Training curves over the epochs, {folds}: " + ", ".join(panel[1] for panel in panels)
    return figure(name, title, draw, (2.55 * len(panels) + 0.4, 2.5), alt, stamps, (f"Lines: {folds}.",), table)


def _column(run: list[dict], name: str) -> np.ndarray:
    """A field of all records, (epochs,), NaN if missing."""
    return np.array([np.nan if record.get(name) is None else record[name] for record in run], dtype=float)


def calibration_figure(name: str, title: str, systems: list[System], stamps: tuple[str, ...]) -> Figure:
    """Reliability diagram, and accuracy against coverage, of all systems of an experiment."""

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=LINE, linewidth=1.2, zorder=1)
        left.annotate("perfect calibration", (0.05, 0.05), rotation=45, fontsize=7.5, color=INK, alpha=0.7,
                      rotation_mode="anchor", transform_rotates_text=True, va="bottom")  # fmt: skip
        for k, system in enumerate(systems):
            look = look_of(k) | {"linestyle": DASHES[k % len(DASHES)], "markersize": 4}
            bins = [b for b in system.results["calibration"]["as_it_is"]["bins"] if b["segments"] >= FEW]
            left.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], label=words(system), **look)
            points = system.results["coverage"]
            right.plot(
                [100 * p["coverage"] for p in points], [100 * p["wa"] for p in points], label=words(system), **look
            )
        left.set(
            xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xlabel="confidence", ylabel="accuracy", title="Reliability"
        )
        right.set(
            xlim=(0, 102),
            xlabel="coverage [%], most confident first",
            ylabel="WA of covered segments [%]",
            title="Accuracy against coverage",
        )
        lines, names = right.get_legend_handles_labels()
        canvas.legend(lines, [cut(name, 88) for name in names], loc="outside lower left")

    rows = []
    for system in systems:
        calibration = system.results["calibration"]
        raw, after = calibration["as_it_is"], calibration.get("tempered")
        fitted = [f"{value:.2f}" for value in calibration.get("temperatures", {}).values()]
        rows.append([words(system), percent(raw["error"]),
                     f"{percent(raw['floor']['mean'])} (up to {percent(raw['floor']['high'])})", percent(raw["corrected"]),
                     f"{raw['brier']:.3f}", f"{raw['log_loss']:.3f}", percent(after["error"]) if after else MISSING,
                     f"{after['log_loss']:.3f}" if after else MISSING, ", ".join(fitted) or MISSING])  # fmt: skip
    heads = ["system", "ECE [%]", "floor of ECE [%]", "corrected ECE [%]", "Brier score", "log loss", "tempered: ECE [%]",
             "tempered: log loss", "temperatures"]  # fmt: skip
    table = Table(f"{name}-numbers", "Expected calibration error, Brier score and log loss", heads, rows)
    notes = (
        f"Confidence is the highest posterior, in 15 bins; bins with fewer than {FEW} segments are not drawn. Each fold's"
        " temperature is fitted on the other folds only.",
        "Floor: mean ECE of perfectly calibrated posteriors of this size, simulated, with its 95th percentile in brackets; an ECE"
        " below that is no evidence of miscalibration. Corrected ECE: minus the expected bias of the bins.",
    )
    alt = "Reliability diagram (accuracy against confidence) and WA of the most confident segments against coverage"
    return figure(name, title, draw, (7.4, 3.5 + 0.2 * len(systems)), alt, stamps, notes, table)


def words(system: System) -> str:
    """Name of a system in legends and tables: how it was trained, and its folder."""
    return f"{system.what} ({system.name})" if system.what else system.name
