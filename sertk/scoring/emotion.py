"""Weighted and unweighted accuracy over folds, and the confusion behind them.

WA is the part of the segments that were recognised; UA the mean of the classes' recalls. A class that a fold's
truth lacks has no recall, and the fold's UA is the mean over the classes that are there (as scikit-learn's
`balanced_accuracy_score`): counting it as 0 would blame the network for the corpus. The paper's figures are the
means over the folds (its Table 3); the pooled figures, from the confusion summed over the folds, stand beside them.

>>> counts = confusion([0, 0, 0, 1], [0, 0, 1, 1], 3)
>>> counts.tolist()
[[2, 1, 0], [0, 1, 0], [0, 0, 0]]
>>> weighted_accuracy(counts)
0.75
>>> round(unweighted_accuracy(counts), 4)  # (2/3 + 1) / 2: class 2 is not in the truth
0.8333
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def confusion(truth: Sequence[int], guess: Sequence[int], num_classes: int) -> np.ndarray:
    """Counts (classes, classes): rows the truth, columns what was recognised."""
    cells = np.asarray(truth, dtype=np.int64) * num_classes + np.asarray(guess, dtype=np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def weighted_accuracy(counts: np.ndarray) -> float:
    """Recognised segments over all: counts (classes, classes) -> a part of 1; NaN of no segments."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class, counts (…, classes, classes) -> (…, classes); NaN where the truth lacks the class."""
    return np.diagonal(row_normalised(counts), axis1=-2, axis2=-1)


def unweighted_accuracy(counts: np.ndarray) -> float:
    """Mean recall over the classes that are in the truth; NaN of no segments."""
    there = counts.sum(axis=1) > 0
    return float(recalls(counts)[there].mean()) if there.any() else float("nan")


def row_normalised(counts: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, (…, classes, classes); a class without segments is a row of NaN (Fig. 3)."""
    rows = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)


@dataclass(frozen=True)
class Accuracy:
    """What one confusion matrix says."""

    segments: int
    wa: float
    ua: float
    recalls: np.ndarray  # (classes,)

    @classmethod
    def of(cls, counts: np.ndarray) -> "Accuracy":
        return cls(int(counts.sum()), weighted_accuracy(counts), unweighted_accuracy(counts), recalls(counts))


@dataclass(frozen=True)
class FoldScores:
    """WA and UA of each fold, their mean and deviation, and the pooled figures."""

    counts: dict[int, np.ndarray]  # fold -> (classes, classes)

    @property
    def folds(self) -> dict[int, Accuracy]:
        return {fold: Accuracy.of(counts) for fold, counts in self.counts.items()}

    @property
    def pooled_counts(self) -> np.ndarray:
        return sum(self.counts.values())

    @property
    def pooled(self) -> Accuracy:
        return Accuracy.of(self.pooled_counts)

    def mean(self) -> tuple[float, float]:
        """(WA, UA), the unweighted means over the folds: the paper's figures."""
        return tuple(float(np.mean(column)) for column in self._columns())

    def deviation(self) -> tuple[float, float]:
        """(WA, UA), the sample standard deviations over the folds (n - 1); NaN of a single fold."""
        if len(self.counts) < 2:
            return float("nan"), float("nan")
        return tuple(float(np.std(column, ddof=1)) for column in self._columns())

    def _columns(self):
        folds = self.folds.values()
        return [fold.wa for fold in folds], [fold.ua for fold in folds]


def score_folds(truth: Sequence[int], guess: Sequence[int], fold: Sequence[int], num_classes: int) -> FoldScores:
    """Confusion counts of each fold, in the folds' order; truth, guess, fold: (segments,) integers."""
    truth, guess, fold = (np.asarray(values, dtype=np.int64) for values in (truth, guess, fold))
    return FoldScores({int(n): confusion(truth[fold == n], guess[fold == n], num_classes) for n in np.unique(fold)})
