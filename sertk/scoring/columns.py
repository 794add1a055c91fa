"""Aligned text columns for terminals, by the display width of characters."""

import unicodedata
from collections.abc import Sequence

# Combining marks, joiners, variation selectors, direction marks: no cell of their own.
_NO_WIDTH = {"Mn", "Me", "Cf"}


def cells(text: str) -> int:
    r"""Display width in terminal cells: 2 for East Asian wide characters and emoji, 0 for combining marks.

    >>> cells("neutral"), cells("生气/angry"), cells("e\u0301"), cells("\N{GRINNING FACE}")
    (7, 10, 1, 2)
    """
    return sum(
        0 if unicodedata.category(c) in _NO_WIDTH else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def left(text: str, width: int) -> str:
    """`text` left-aligned in `width` cells."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """`text` right-aligned in `width` cells."""
    return " " * (width - cells(text)) + text


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: first column left-aligned, the others right-aligned.

    >>> aligned([["", "生气", "sad"], ["a", "1", "22"]])
    ['   生气  sad', 'a     1   22']
    """
    widths = [max(cells(row[k]) for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        first, *others = (pad(cell, width) for pad, cell, width in zip([left] + [right] * len(row), row, widths))
        lines.append("  ".join([first, *others]).rstrip())
    return lines
