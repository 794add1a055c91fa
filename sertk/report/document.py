"""Document model of a report, independent of HTML and Markdown: sections of paragraphs, tables and figures."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        name: identifier on the page.
        title: title.
        columns: column headings.
        rows: cells: text, `Picture` or `Sound`.
        stamps: words that the title carries.
        notes: paragraphs below the table.
        ours: indices of the rows with our own results.
        words: number of text columns at the left; the others are numeric.
        folded: collapsed until opened.
        sortable: sortable and filterable (with JavaScript).
        filters: columns to filter by.
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
    """A figure.

    Args:
        name: identifier on the page, and file name.
        title: title.
        alt: description in words.
        export: gives its content in a format, "svg" (for the page), "png" or "pdf".
        stamps: words that the title carries.
        notes: paragraphs below the figure.
        table: the numbers in the figure.
    """

    name: str
    title: str
    alt: str
    export: Callable[[str], bytes]
    stamps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table: Table | None = None

    @cached_property
    def svg(self) -> str:
        """As SVG, for the page."""
        return self.export("svg").decode()

    @cached_property
    def png(self) -> bytes:
        """As PNG, for Markdown."""
        return self.export("png")

    @cached_property
    def pdf(self) -> bytes:
        """As PDF, for print."""
        return self.export("pdf")


@dataclass(frozen=True)
class Picture:
    """A small PNG image in a table cell, with its description."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class Sound:
    """A WAV file in a table cell, with its label."""

    wav: bytes
    label: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, highlighted if it is a warning."""

    text: str
    warning: bool = False


@dataclass
class Section:
    """A section of tables, figures and paragraphs."""

    name: str
    title: str
    items: list = field(default_factory=list)


@dataclass(frozen=True)
class Headline:
    """Summary of an experiment at the top of the page.

    Args:
        title: title.
        stamps: words that the title carries.
        system: the system whose figures these are.
        figures: (value, measure, uncertainty).
        answers: the main findings, one sentence each.
    """

    title: str
    stamps: tuple[str, ...]
    system: str
    figures: list[tuple[str, str, str]]
    answers: list[str]


@dataclass
class Report:
    """A report: headlines, then sections."""

    title: str
    stamps: tuple[str, ...]
    headlines: list[Headline]
    sections: list[Section]


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction in per cent.

    >>> percent(0.61614), percent(None)
    ('61.61', '–')
    """
    return MISSING if value is None else f"{100 * value:.{digits}f}"


def interval(ends: Sequence[float | None], digits: int = 1) -> str:
    """An interval in per cent, or a dash if undefined."""
    return MISSING if None in ends else f"{percent(ends[0], digits)}–{percent(ends[1], digits)}"


def stamped(title: str, stamps: Iterable[str]) -> str:
    """A title followed by its stamps: `Title [LEAKY]`."""
    return " ".join([title, *(f"[{stamp}]" for stamp in stamps)])
