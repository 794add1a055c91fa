"""Kaldi's ranges at the end of a script's line: `x.ark:15[0:99]`, `[0:99,3:5]`, `[:,0:12]`; both ends included.

Source: Kaldi, src/util/kaldi-holder.cc (ParseMatrixRangeSpecifier, ExtractRangeSpecifier): the last row may lie up to
three beyond the end, since times of segments are rounded.
"""

import re

import numpy as np

from sertk.errors import SertkError

_TOLERANCE = 3
_PART = re.compile(r":|(\d{1,10}):(\d{1,10})", re.ASCII)


def split_range(name: str) -> tuple[str, str | None]:
    """Split the range from an rxfilename; None if there is none.

    Raises:
        SertkError: there is a "]" without a range.

    Example:
        >>> split_range("x.ark:15[0:99]"), split_range("x.ark:15")
        (('x.ark:15', '0:99'), ('x.ark:15', None))
    """
    if not name.endswith("]"):
        return name, None
    name, bracket, text = name[:-1].rpartition("[")
    if not bracket or not name:
        raise SertkError(f"a ']' without a file name and a '[' before it: '{name}{bracket}{text}]'")
    if not text:
        raise SertkError(f"bad range [] after '{name}'")
    return name, text


def rows_and_columns(text: str, rows: int, cols: int | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """The half-open row and column bounds of a range.

    Args:
        text: the range, without brackets.
        rows: of the matrix, or size of the vector.
        cols: of the matrix, None for a vector.

    Returns:
        (first row, last row + 1), (first column, last column + 1).

    Raises:
        SertkError: the range is malformed, or not within the matrix.

    Example:
        >>> rows_and_columns("0:99", 98, 20)
        ((0, 98), (0, 20))
    """
    parts = text.split(",")
    if len(parts) > (1 if cols is None else 2):
        raise SertkError(f"bad range [{text}]")
    first = _bounds(parts[0], rows, _TOLERANCE, text)
    second = _bounds(parts[1], cols, 0, text) if len(parts) == 2 else (0, cols or 0)
    return first, second


def _bounds(part: str, size: int, tolerance: int, text: str) -> tuple[int, int]:
    match = _PART.fullmatch(part)
    if not match:
        raise SertkError(f"bad range [{text}]")
    if part == ":":
        return 0, size
    first, last = int(match[1]), int(match[2])
    if not (first <= last < size + tolerance and first < size):
        raise SertkError(f"range [{text}] does not lie within {size} rows or columns")
    return first, min(last, size - 1) + 1


def cut(array: np.ndarray, text: str | None) -> np.ndarray:
    """A copy of a range of a matrix or vector, the array itself if the range is None.

    Raises:
        SertkError: as rows_and_columns.
    """
    if text is None:
        return array
    matrix = array.ndim == 2
    (top, bottom), (left, right) = rows_and_columns(text, array.shape[0], array.shape[1] if matrix else None)
    return array[top:bottom, left:right].copy() if matrix else array[top:bottom].copy()
