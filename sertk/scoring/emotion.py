"""Weighted and unweighted accuracy over folds, macro-F1, precision, and the confusion matrix behind them.

WA is the accuracy over all segments, UA the mean recall over classes, macro-F1 the mean F1 over classes. UA and macro-F1 of a
fold leave out classes without segments in that fold (as scikit-learn's `balanced_accuracy_score` does); counting their recall
as 0 would penalise the network for the corpus. The paper reports means over folds (its Table 3); pooled figures come from the
confusion matrix summed over folds.

>>> counts = confusion([0, 0, 0, 1], [0, 0, 1, 1], 3)
>>> counts.tolist()
[[2, 1, 0], [0, 1, 0], [0, 0, 0]]
>>> weighted_accuracy(counts)
0.75
>>> round(unweighted_accuracy(counts), 4)  # (2/3 + 1) / 2: class 2 has no segments
0.8333
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def confusion(truth: Sequence[int], guess: Sequence[int], num_classes: int) -> np.ndarray:
    """Confusion matrix.

    Args:
        truth: (segments,) class indices.
        guess: (segments,) predicted class indices.
        num_classes: number of classes.

    Shape:
        - Output: (classes, classes) counts, rows truth, columns predictions
    """
    cells = np.asarray(truth, dtype=np.int64) * num_classes + np.asarray(guess, dtype=np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def weighted_accuracy(counts: np.ndarray) -> float:
    """Weighted accuracy (WA): fraction of correctly classified segments; NaN without segments. counts: (classes, classes)."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class: counts (…, classes, classes) -> (…, classes); NaN for a class without segments."""
    return np.diagonal(row_normalised(counts), axis1=-2, axis2=-1)


def unweighted_accuracy(counts: np.ndarray) -> float:
    """Unweighted accuracy (UA): mean recall over classes with segments; NaN without segments. counts: (classes, classes)."""
    present = counts.sum(axis=1) > 0
    return float(recalls(counts)[present].mean()) if present.any() else float("nan")


def precisions(counts: np.ndarray) -> np.ndarray:
    """Precision of each class: counts (…, classes, classes) -> (…, classes); NaN for a class that is never predicted."""
    return recalls(np.swapaxes(counts, -1, -2))


def macro_f1(counts: np.ndarray) -> float:
    """Mean F1, 2 correct / (segments + predictions), over classes with segments; NaN without segments.

    >>> macro_f1(np.array([[2, 1], [0, 1]]))  # F1 of 4/5 and 2/3
    0.7333333333333334
    """
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    present = rows > 0
    if not present.any():
        return float("nan")
    return float((2 * np.diagonal(counts)[present] / (rows + columns)[present]).mean())


def measures(counts: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """WA, UA, macro-F1, recalls and precisions of a batch of confusion matrices.

    Args:
        counts: (…, classes, classes).
        classes: (classes,) bool, the classes that UA and macro-F1 average over; default: those with segments in any matrix.
            A matrix that lacks one of them gets NaN, so that a jackknife replicate never averages over other classes.

    Shape:
        - Output: (…, 3 + 2 * classes)
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
    """Quotient, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def row_normalised(counts: np.ndarray) -> np.ndarray:
    """Rows divided by their sums, (…, classes, classes); NaN for a class without segments."""
    return _divided(counts, counts.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Accuracy:
    """The measures of one confusion matrix, as fractions."""

    segments: int
    wa: float
    ua: float
    macro_f1: float
    recalls: np.ndarray  # (classes,)
    precisions: np.ndarray  # (classes,)

    @classmethod
    def of(cls, counts: np.ndarray) -> "Accuracy":
        """Measures of a confusion matrix (classes, classes)."""
        wa, ua, f1 = weighted_accuracy(counts), unweighted_accuracy(counts), macro_f1(counts)
        return cls(int(counts.sum()), wa, ua, f1, recalls(counts), precisions(counts))


def score(truth: Sequence[str], predicted: Sequence[str]) -> Accuracy:
    """WA, UA, macro-F1, recalls and precisions from label names; classes are in sorted order of the names.

    Args:
        truth: label of each segment.
        predicted: predicted label of each segment.

    Returns:
        accuracies as fractions.

    Raises:
        ValueError: no segments, or a different number of predictions.

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
    """Per-fold measures, their mean and standard deviation, and pooled measures.

    Args:
        counts: fold -> confusion matrix (classes, classes).
    """

    counts: dict[int, np.ndarray]

    @property
    def folds(self) -> dict[int, Accuracy]:
        """Measures of each fold."""
        return {fold: Accuracy.of(counts) for fold, counts in self.counts.items()}

    @property
    def pooled_counts(self) -> np.ndarray:
        """Confusion matrix summed over folds, (classes, classes)."""
        return sum(self.counts.values())

    @property
    def pooled(self) -> Accuracy:
        """Measures of the summed confusion matrix."""
        return Accuracy.of(self.pooled_counts)

    def mean(self) -> tuple[float, float, float]:
        """(WA, UA, macro-F1), unweighted means over folds, as the paper reports them."""
        return tuple(float(np.mean(column)) for column in self._columns())

    def deviation(self) -> tuple[float, float, float]:
        """(WA, UA, macro-F1), sample standard deviations over folds (n - 1); NaN for a single fold."""
        if len(self.counts) < 2:
            return float("nan"), float("nan"), float("nan")
        return tuple(float(np.std(column, ddof=1)) for column in self._columns())

    def _columns(self) -> tuple[list[float], list[float], list[float]]:
        folds = self.folds.values()
        return [fold.wa for fold in folds], [fold.ua for fold in folds], [fold.macro_f1 for fold in folds]


def score_folds(truth: Sequence[int], guess: Sequence[int], fold: Sequence[int], num_classes: int) -> FoldScores:
    """Confusion matrix of each fold, in the order of fold numbers.

    Args:
        truth: (segments,) class indices.
        guess: (segments,) predicted class indices.
        fold: (segments,) fold numbers.
        num_classes: number of classes.
    """
    truth, guess, fold = (np.asarray(values, dtype=np.int64) for values in (truth, guess, fold))
    return FoldScores({int(n): confusion(truth[fold == n], guess[fold == n], num_classes) for n in np.unique(fold)})
