"""Style of the figures, and export of matplotlib figures as SVG for the page, PNG for Markdown and PDF for print.

Colours are Okabe and Ito's, safe for colour-blind readers; series also differ by marker or dash. In the SVG, text and lines
have the colours of the page (`currentColor`, `var(--line)`), in light and dark mode.
"""

import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.text import Text

from sertk.atomic import temporary
from sertk.errors import SertkError
from sertk.report.document import Figure, Table
from sertk.report.lettering import BASE, families, readable

INK, LINE, WARN = "#16181d", "#c9ccd1", "#b3410e"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
# Formats of a figure in a file of its own.
FORMATS = (".png", ".svg", ".pdf")
# Options of the export; without dates the same drawing has the same bytes.
_EXPORT = {
    "svg": {"metadata": {"Date": None}},
    "png": {"dpi": 144, "facecolor": "white", "metadata": {"Software": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
# What stands in place of the page's colours in an SVG of its own, which has a light ground.
_ALONE = f"color:{INK};background:#fff;--line:{LINE};--warn:{WARN};--sans:sans-serif"
STYLE = {
    "font.family": "sans-serif", "font.size": 9.5, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.edgecolor": LINE, "axes.linewidth": 0.8, "axes.labelcolor": INK,
    "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5, "axes.grid": True, "grid.color": LINE, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none", "figure.facecolor": "none",
    "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.6, "svg.fonttype": "none",
    "pdf.fonttype": 42, "image.interpolation": "nearest", "axes.unicode_minus": True,
}  # fmt: skip


def look_of(number: int) -> dict[str, str]:
    """Colour and marker of a system's line; after six systems they come again, with open markers."""
    again, k = divmod(number, len(COLOURS))
    return {"color": COLOURS[k], "marker": MARKERS[k], "markerfacecolor": "none" if again else COLOURS[k]}


def figure(
    name: str,
    title: str,
    draw: Callable[[Canvas], None],
    size: tuple[float, float],
    alt: str,
    stamps: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    table: Table | None = None,
) -> Figure:
    """Draw a figure. It is exported in each format when that is first used.

    Args:
        name: identifier on the page, and file name.
        title: title.
        draw: draws on an empty matplotlib figure.
        size: (width, height) in inches.
        alt: description in words.
        stamps: words for the title, also drawn into the figure, so that copies have them.
        notes: paragraphs below the figure.
        table: the numbers in the figure.
    """
    style = {**STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style), _no_font_warnings():
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas)
        if stamps:
            canvas.suptitle(" · ".join(stamps), x=0.995, ha="right", fontsize=8, fontweight="bold", color=WARN)
        make_readable(canvas)

    def export(form: str) -> bytes:
        content = io.BytesIO()
        with matplotlib.rc_context(style), _no_font_warnings():
            canvas.savefig(content, format=form, **_EXPORT[form])
        return for_page(content.getvalue().decode(), name, alt).encode() if form == "svg" else content.getvalue()

    return Figure(name, title, alt, export, stamps, notes, table and replace(table, stamps=stamps))


def legend_below(canvas: Canvas, lines: Sequence[Line2D], names: Sequence[str], columns: int = 1) -> None:
    """Name lines below a figure, in columns. The names are any text."""
    legend = canvas.legend(lines, [""] * len(lines), loc="outside lower left", ncols=columns)
    # Set here: matplotlib hides labels that begin with "_".
    for text, name in zip(legend.get_texts(), names):
        text.set_text(name)


@contextmanager
def _no_font_warnings() -> Iterator[None]:
    """Silence matplotlib's warnings about fonts without a bold face."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def make_readable(canvas: Canvas) -> None:
    """Set fonts that have all characters, and turn off parsing of `$` as mathematics."""
    for axes in canvas.axes:
        axes.get_xticklabels(), axes.get_yticklabels()  # creates them
    texts = [text for text in canvas.findobj(Text) if text.get_text()]
    fonts = families(text.get_text() for text in texts)
    for text in texts:
        shown = "\n".join(map(readable, text.get_text().split("\n")))
        text.set(text=shown, parse_math=False)
        if fonts != [BASE]:
            text.set_fontfamily(fonts)


def for_page(svg: str, name: str, alt: str) -> str:
    """An SVG to embed in the page: unique ids, the page's colours, an accessible name, scaling with the page.

    Args:
        svg: matplotlib's SVG file.
        name: prefix of the ids.
        alt: description in words.
    """
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.S)
    svg = re.sub(r'(\bid=")', rf"\1{name}-", svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\1{name}-", svg)
    svg = svg.replace(INK, "currentColor").replace(LINE, "var(--line)").replace(WARN, "var(--warn)")
    svg = re.sub(r"font: ([\d.]+px|bold [\d.]+px|700 [\d.]+px)[^;\"]*", r"font: \1 var(--sans)", svg)
    width = re.search(r'width="([\d.]+)pt"', svg)[1]
    label = alt.encode(errors="replace").decode().replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    whole = float(width) * 4 / 3  # points -> pixels; below 0.65 of it text is too small, and the figure scrolls
    style = f"max-width:{whole:.0f}px;--least:{0.65 * whole:.0f}px"
    head = f'<svg role="img" aria-label="{label}" style="{style}"'
    return re.sub(
        r'<svg((?:(?! (?:width|height)=)[^>])*?)( width="[^"]*"| height="[^"]*")', r"<svg\1", svg, count=1
    ).replace("<svg", head, 1)


def check_format(path: Path, formats: tuple[str, ...] = FORMATS) -> None:
    """Raise SertkError unless a picture can be written under this name."""
    if path.suffix.lower() not in formats:
        raise SertkError(f"{path}: a picture's name ends in {', '.join(formats[:-1])} or {formats[-1]}")
    temporary(path)


def in_format(shown: Figure, suffix: str) -> bytes:
    """A figure as a file of its own, in the format of `suffix` (.png, .svg or .pdf)."""
    match suffix.lower():
        case ".png":
            return shown.png
        case ".pdf":
            return shown.pdf
        case _:
            return shown.svg.replace('style="', f'style="{_ALONE};', 1).encode()
