"""Mean and deviation of every column over the segments of some folds, each fold's computed once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sertk.data.store import Store

# Rows that are converted to float64 at a time.
ROWS = 512


@dataclass(frozen=True)
class Moments:
    """Moments of some rows, which merge without loss of precision (Chan, Golub and LeVeque 1979).

    Args:
        rows: their number.
        mean: (columns,) float64.
        squares: (columns,) float64, sum of squared differences from the mean.

    Example:
        >>> whole = moments(np.array([[1.0], [3.0]])) + moments(np.array([[8.0]]))
        >>> whole.rows, whole.mean.tolist(), whole.deviation.round(3).tolist()
        (3, [4.0], [2.944])
    """

    rows: int
    mean: np.ndarray
    squares: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        """Merge with the moments of other rows."""
        rows, apart = self.rows + other.rows, other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * (self.rows * other.rows / rows)
        return Moments(rows, self.mean + apart * (other.rows / rows), squares)

    @property
    def deviation(self) -> np.ndarray:
        """Population standard deviation. Shape: (columns,)."""
        return np.sqrt(self.squares / self.rows)


def moments(rows: np.ndarray) -> Moments:
    """Moments of rows. Shape: (rows, columns), at least one row."""
    wide = rows.astype(np.float64)
    mean = wide.mean(axis=0)
    return Moments(len(wide), mean, np.square(wide - mean).sum(axis=0))


class FoldMoments:
    """Moments of the segments of each fold, and of several folds together.

    Args:
        store: the vectors; all rows of a segment count.
        fold_of: function of a key that returns its fold.
    """

    def __init__(self, store: Store, fold_of: Callable[[str], str]) -> None:
        self.store, self._of_fold = store, {}
        self._members: dict[str, list[int]] = {}
        for index, key in enumerate(store.keys):
            self._members.setdefault(fold_of(key), []).append(index)

    def of(self, folds: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation over the segments of folds. Shape: (columns,) each, float64."""
        parts = [self._fold(fold) for fold in folds if fold in self._members]
        whole = sum(parts[1:], parts[0])
        return whole.mean, whole.deviation

    def _fold(self, fold: str) -> Moments:
        if fold not in self._of_fold:
            total, waiting = None, []
            for index in [*self._members[fold], None]:
                if index is not None:
                    waiting.append(self.store[index].rows(0, int(self.store.num_frames[index])))
                if waiting and (index is None or sum(map(len, waiting)) >= ROWS):
                    part = moments(np.concatenate(waiting))
                    total, waiting = part if total is None else total + part, []
            self._of_fold[fold] = total
        return self._of_fold[fold]
