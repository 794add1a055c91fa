"""Put the values of several tables side by side, key by key."""

from collections.abc import Callable, Iterator

import numpy as np

from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_table

Skip = Callable[[str, str], None]


def paste(sources: list[Rspecifier], skip: Skip) -> Iterator[tuple[str, np.ndarray]]:
    """Concatenate the values of tables for each key, in the order of the first table.

    Tables in the same order are read side by side; of others, what comes early waits in memory.

    Args:
        sources: tables of vectors or matrices.
        skip: called with (key, reason) for each key that is not in all tables, or whose values do not fit together.

    Yields:
        (key, value): a vector if all values are vectors, else a matrix, on each row of which the vectors are repeated.
    """
    others = [_Lookup(source, skip) for source in sources[1:]]
    named: set[str] = set()
    for key, value in filled(read_table(sources[0], kind="numbers", skip=skip), skip):
        parts = [value, *(other.take(key) for other in others)]
        lacking = [source for source, part in zip(sources, parts) if part is None]
        rows = {len(part) for part in parts if part is not None and part.ndim == 2}
        if lacking:
            named.add(key)
            skip(key, f"not in {lacking[0]}")
        elif len(rows) > 1:
            skip(key, f"matrices of {' and '.join(map(str, sorted(rows)))} rows")
        else:
            yield key, side_by_side(parts, rows.pop() if rows else None)
    for other in others:
        for key in other.left():
            if key not in named:
                named.add(key)
                skip(key, f"not in {sources[0]}")


def side_by_side(parts: list[np.ndarray], rows: int | None) -> np.ndarray:
    """Concatenate vectors, or the rows of matrices.

    Args:
        parts: (dim,) or (rows, dim) each.
        rows: of the matrices; None: all are vectors.

    Example:
        >>> side_by_side([np.array([[1, 2], [3, 4]]), np.array([5])], rows=2).tolist()
        [[1, 2, 5], [3, 4, 5]]
    """
    if rows is None:
        return np.concatenate(parts)
    full = [np.broadcast_to(part, (rows, part.shape[-1])) for part in parts]
    return np.concatenate(full, axis=1)


class _Lookup:
    """Values of a table by key, read as far as needed; what was read and not taken waits."""

    def __init__(self, source: Rspecifier, skip: Skip) -> None:
        self._entries = filled(read_table(source, kind="numbers", skip=skip), skip)
        self._waiting: dict[str, np.ndarray] = {}

    def take(self, key: str) -> np.ndarray | None:
        """The value of a key, None if there is none."""
        if key in self._waiting:
            return self._waiting.pop(key)
        for other, value in self._entries:
            if other == key:
                return value
            self._waiting[other] = value
        return None

    def left(self) -> Iterator[str]:
        """The keys that were not taken."""
        yield from self._waiting
        for key, _ in self._entries:
            yield key
