"""Settings of a head to choose from, and the choice: by scores on training folds that are held out in turn. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np

from sertk.scoring.emotion import confusion, unweighted_accuracy, weighted_accuracy
from sertk.training.settings import HeadSettings

# Settings that a grid may have.
GRIDABLE = (
    "epochs", "batch_size", "learning_rate", "hold_epochs", "halve_every", "momentum", "weight_decay", "label_smoothing",
    "class_weights", "sampling", "embedding_dim",
)  # fmt: skip
CRITERIA = ("ua", "wa", "mean-ua")


@dataclass(frozen=True)
class Grid:
    """Values of some settings, all combinations of which are tried.

    Args:
        values: of each setting, by its name, in the order of the file.

    Example:
        >>> grid = Grid({"learning_rate": [0.1, 0.01], "epochs": [5]})
        >>> [(point.learning_rate, point.epochs) for point in grid.points(HeadSettings())]
        [(0.1, 5), (0.01, 5)]
    """

    values: dict[str, list[Any]]

    def points(self, settings: HeadSettings) -> list[HeadSettings]:
        """All combinations, the first of each line first; other settings are as given."""
        return [replace(settings, **dict(zip(self.values, point))) for point in product(*self.values.values())]

    def plain(self) -> dict[str, str]:
        """The values as text, for a run's settings."""
        return {name: ",".join(map(str, values)) for name, values in self.values.items()}

    def of(self, point: HeadSettings) -> dict[str, Any]:
        """A point's values of the grid's settings."""
        return {name: getattr(point, name) for name in self.values}


def trained_alike(points: Sequence[HeadSettings]) -> list[list[HeadSettings]]:
    """Group settings that differ only in their epochs, and have the same rates in those that they share.

    The longest of a group, which is its last, passes through the heads of all others.

    Example:
        >>> points = [HeadSettings(epochs=e, momentum=m) for m in (0, 0.9) for e in (20, 5)]
        >>> [[(point.momentum, point.epochs) for point in group] for group in trained_alike(points)]
        [[(0, 5), (0, 20)], [(0.9, 5), (0.9, 20)]]
        >>> [len(group) for group in trained_alike([HeadSettings(epochs=e, schedule="cosine") for e in (20, 5)])]
        [1, 1]
    """
    groups: dict[HeadSettings, list[HeadSettings]] = {}
    for point in points:
        # Rates of the other schedules fall over all epochs.
        same_rates = replace(point, epochs=1) if point.schedule == "halving" else point
        groups.setdefault(same_rates, []).append(point)
    return [sorted(group, key=lambda point: point.epochs) for group in groups.values()]


def scores_of(truth: dict[str, list[int]], decisions: dict[str, list[int]], num_labels: int) -> dict[str, float]:
    """Scores of one setting over the folds that were held out inside the training folds.

    Args:
        truth: label indices of the segments of each fold.
        decisions: those decided on, in the same order.
        num_labels: labels of the task.

    Returns:
        "ua" and "wa", pooled over all segments; "mean-ua", the mean of the folds' UA.
    """
    counts = [confusion(truth[fold], decisions[fold], num_labels) for fold in truth]
    pooled = np.sum(counts, axis=0)
    mean = float(np.mean([unweighted_accuracy(of_fold) for of_fold in counts]))
    return {"ua": unweighted_accuracy(pooled), "wa": weighted_accuracy(pooled), "mean-ua": mean}


def best(scores: Sequence[dict[str, float] | None], criterion: str) -> int | None:
    """Index of the best scores, the first among equals; None if no setting has any (training diverged).

    Example:
        >>> best([{"ua": 0.5}, None, {"ua": 0.7}, {"ua": 0.7}], "ua")
        2
    """
    scored = [index for index, each in enumerate(scores) if each]
    return max(scored, key=lambda index: (scores[index][criterion], -index), default=None)


def identity(point: HeadSettings) -> str:
    """The settings of a point as text, the same for equal points."""
    return " ".join(f"{field.name}={getattr(point, field.name)}" for field in fields(point) if field.name in GRIDABLE)
