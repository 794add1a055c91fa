"""Kaldi's ranges at the end of a script's line: `x.ark:15[0:99]`, `[0:99,3:5]`, `[:,0:12]`; both ends included.

Source: Kaldi, src/util/kaldi-holder.cc (ParseMatrixRangeSpecifier, ExtractRangeSpecifier): the last row may lie up to
three beyond the end, since times of segments are rounded.

    >>> rows_and_columns("0:99", 98, 20)
    ((0, 98), (0, 20))
"""

import re

from sertk.errors import SertkError

_TOLERANCE = 3
_PART = re.compile(r":|(\d{1,10}):(\d{1,10})", re.ASCII)


def split_range(name: str) -> tuple[str, str | None]:
    """`x.ark:15[0:99]` as ("x.ark:15", "0:99"); no range is None."""
    if not name.endswith("]"):
        return name, None
    name, bracket, text = name[:-1].rpartition("[")
    if not bracket or not name:
        raise SertkError(f"a ']' without a file name and a '[' before it: '{name}{bracket}{text}]'")
    if not text:
        raise SertkError(f"bad range [] after '{name}'")
    return name, text


def rows_and_columns(text: str, rows: int, cols: int | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """The half-open row and column bounds that `text` means in a matrix; `cols` is None for a vector."""
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


def cut(array, text: str | None):
    """`array` cut to a range (None: as it is)."""
    if text is None:
        return array
    matrix = array.ndim == 2
    (top, bottom), (left, right) = rows_and_columns(text, array.shape[0], array.shape[1] if matrix else None)
    return array[top:bottom, left:right].copy() if matrix else array[top:bottom].copy()
