"""Weighted and unweighted accuracy over folds, macro-F1, precision, and the confusion matrix behind them.

WA is the accuracy over all segments; UA the mean of the classes' recalls, macro-F1 that of their F1. A class that a
fold's truth lacks has neither, and the fold's UA and macro-F1 are the means over the classes that are there (UA as
scikit-learn's `balanced_accuracy_score`): counting it as 0 would blame the network for the corpus. The paper's figures
are the means over the folds (its Table 3); the pooled figures, from the confusion summed over the folds, stand beside
them.

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
    """Counts (classes, classes): rows the truth, columns the predictions."""
    cells = np.asarray(truth, dtype=np.int64) * num_classes + np.asarray(guess, dtype=np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def weighted_accuracy(counts: np.ndarray) -> float:
    """Correctly classified segments over all: counts (classes, classes) -> a part of 1; NaN of no segments."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class, counts (…, classes, classes) -> (…, classes); NaN where the truth lacks the class."""
    return np.diagonal(row_normalised(counts), axis1=-2, axis2=-1)


def unweighted_accuracy(counts: np.ndarray) -> float:
    """Mean recall over the classes that are in the truth; NaN of no segments."""
    there = counts.sum(axis=1) > 0
    return float(recalls(counts)[there].mean()) if there.any() else float("nan")


def precisions(counts: np.ndarray) -> np.ndarray:
    """Precision of each class, counts (…, classes, classes) -> (…, classes); NaN of a class that is never predicted."""
    return recalls(np.swapaxes(counts, -1, -2))


def macro_f1(counts: np.ndarray) -> float:
    """Mean F1, 2 hits / (segments + predictions), over the classes that are in the truth; NaN of no segments.

    >>> macro_f1(np.array([[2, 1], [0, 1]]))  # F1 of 4/5 and 2/3
    0.7333333333333334
    """
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    there = rows > 0
    return float((2 * np.diagonal(counts)[there] / (rows + columns)[there]).mean()) if there.any() else float("nan")


def measures(counts: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """WA, UA, macro-F1, recalls and precisions of many confusion matrices at once.

    UA and macro-F1 are means over `classes` (classes,) bool, those that are in the truth of all matrices together
    unless told; NaN where a matrix lacks one of them, so that what a jackknife leaves out is not taken for a change.

    Shape:
        - counts: (…, classes, classes); output: (…, 3 + 2 * classes)
    """
    counts = np.asarray(counts, dtype=np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    rows, columns = counts.sum(axis=-1), counts.sum(axis=-2)
    if classes is None:
        classes = rows.reshape(-1, rows.shape[-1]).sum(axis=0) > 0
    wa = _divided(hits.sum(axis=-1), rows.sum(axis=-1))
    recall, f1 = _divided(hits, rows), _divided(2 * hits, np.where(rows > 0, rows + columns, 0))
    if not classes.any():
        means = np.full((*wa.shape, 2), np.nan)
    else:
        means = np.stack([recall[..., classes].mean(axis=-1), f1[..., classes].mean(axis=-1)], axis=-1)
    return np.concatenate([wa[..., None], means, recall, _divided(hits, columns)], axis=-1)


def _divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def row_normalised(counts: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, (…, classes, classes); a class without segments is a row of NaN (Fig. 3)."""
    rows = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)


@dataclass(frozen=True)
class Accuracy:
    """The measures of one confusion matrix, as parts of 1."""

    segments: int
    wa: float
    ua: float
    macro_f1: float
    recalls: np.ndarray  # (classes,)
    precisions: np.ndarray  # (classes,)

    @classmethod
    def of(cls, counts: np.ndarray) -> "Accuracy":
        """The measures of counts (classes, classes)."""
        wa, ua, f1 = weighted_accuracy(counts), unweighted_accuracy(counts), macro_f1(counts)
        return cls(int(counts.sum()), wa, ua, f1, recalls(counts), precisions(counts))


def score(truth: Sequence[str], predicted: Sequence[str]) -> Accuracy:
    """WA, UA, macro-F1, recalls and precisions of labels by name; a class's place is that of its name in sorted order.

    Raises:
        ValueError: no segments, or not as many predictions as segments.

    Example:
        >>> accuracy = score(["ang", "ang", "sad", "sad"], ["ang", "ang", "sad", "ang"])
        >>> accuracy.wa, accuracy.ua, accuracy.recalls.tolist()
        (0.75, 0.75, [1.0, 0.5])
    """
    if len(truth) != len(predicted) or not len(truth):
        raise ValueError(f"{len(truth)} labels and {len(predicted)} predictions")
    number = {name: index for index, name in enumerate(sorted({*truth, *predicted}))}
    return Accuracy.of(confusion([number[t] for t in truth], [number[p] for p in predicted], len(number)))


@dataclass(frozen=True)
class FoldScores:
    """The measures of each fold, their mean and deviation, and the pooled figures."""

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

    def mean(self) -> tuple[float, float, float]:
        """(WA, UA, macro-F1), the unweighted means over the folds: the paper's figures."""
        return tuple(float(np.mean(column)) for column in self._columns())

    def deviation(self) -> tuple[float, float, float]:
        """(WA, UA, macro-F1), the sample standard deviations over the folds (n - 1); NaN of a single fold."""
        if len(self.counts) < 2:
            return float("nan"), float("nan"), float("nan")
        return tuple(float(np.std(column, ddof=1)) for column in self._columns())

    def _columns(self):
        folds = self.folds.values()
        return [fold.wa for fold in folds], [fold.ua for fold in folds], [fold.macro_f1 for fold in folds]


def score_folds(truth: Sequence[int], guess: Sequence[int], fold: Sequence[int], num_classes: int) -> FoldScores:
    """Confusion counts of each fold, in the folds' order; truth, guess, fold: (segments,) integers."""
    truth, guess, fold = (np.asarray(values, dtype=np.int64) for values in (truth, guess, fold))
    return FoldScores({int(n): confusion(truth[fold == n], guess[fold == n], num_classes) for n in np.unique(fold)})
