"""What a report is made of, before it is HTML or Markdown: sections of paragraphs, tables and figures."""

from dataclasses import dataclass, field

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    stamps: words that the title carries; ours: numbers of the rows that are our own; words: how many columns from the
    left hold words, the others numbers; folded: shown when asked for; sortable: given controls to sort and filter where
    there is JavaScript, by `filters`, names of columns.
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list]
    stamps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ours: frozenset[int] = frozenset()
    words: int = 1
    folded: bool = False
    sortable: bool = False
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A picture in three forms; `alt` says in words what is to be seen, `table` has its numbers."""

    name: str
    title: str
    alt: str
    svg: str
    png: bytes
    pdf: bytes
    stamps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table: Table | None = None


@dataclass(frozen=True)
class Picture:
    """A small picture in a table's cell: PNG, and what it shows."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class Sound:
    """A recording in a table's cell: a wav file, and whose it is."""

    wav: bytes
    label: str


@dataclass(frozen=True)
class Paragraph:
    text: str
    warning: bool = False


@dataclass
class Section:
    name: str
    title: str
    items: list = field(default_factory=list)


@dataclass(frozen=True)
class Headline:
    """An experiment at the head of the page: whose `figures` (value, what it is, how sure it is), and in `answers` what
    is to be known first."""

    title: str
    stamps: tuple[str, ...]
    system: str
    figures: list[tuple[str, str, str]]
    answers: list[str]


@dataclass
class Report:
    title: str
    stamps: tuple[str, ...]
    headlines: list[Headline]
    sections: list[Section]


def percent(value: float | None, digits: int = 2) -> str:
    """A part of 1 in per cent.

    >>> percent(0.61614), percent(None)
    ('61.61', '–')
    """
    return MISSING if value is None else f"{100 * value:.{digits}f}"


def interval(ends, digits: int = 1) -> str:
    """Both ends in per cent, or a dash where they do not exist."""
    return MISSING if None in ends else f"{percent(ends[0], digits)}–{percent(ends[1], digits)}"


def stamped(title: str, stamps) -> str:
    """A title and its stamps as one line of text."""
    return " ".join([title, *(f"[{stamp}]" for stamp in stamps)])
