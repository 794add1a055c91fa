"""Rendering of a report as one self-contained HTML page, and as Markdown with figure files."""

import base64
import re
from collections.abc import Iterable
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from sertk import __version__
from sertk.atomic import atomic_file, ensure_folder
from sertk.report.document import Figure, Picture, Report, Sound, Table, stamped

_HERE = Path(__file__).parent
_NUMBER = re.compile(r"[-+±<–]? ?[\d.].*|–|")


def write_report(report: Report, out: Path) -> None:
    """Write OUT/report.html, OUT/report.md and OUT/figures/*.{png,pdf}, each atomically."""
    ensure_folder(out / "report.html")
    html = as_html(report)  # first: matplotlib lays an SVG out a little differently after a PNG of the same figure
    figures = [item for section in report.sections for item in section.items if isinstance(item, Figure)]
    for figure in figures:
        for form in ("png", "pdf"):
            path = out / "figures" / f"{figure.name}.{form}"
            ensure_folder(path)
            with atomic_file(path, "wb") as file:
                file.write(getattr(figure, form))
    for name, text in (("report.md", as_markdown(report)), ("report.html", html)):
        with atomic_file(out / name, "w") as file:
            file.write(text)


def as_html(report: Report) -> str:
    """The HTML page, with style, script and figures inline."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    # Keys have no spaces: let them wrap at underscores on narrow screens.
    environment.filters["breakable"] = lambda text: escape(text).replace("_", Markup("_<wbr>"))
    environment.filters["numeric_columns"] = numeric_columns
    environment.filters["has_media"] = lambda table, column: any(not isinstance(row[column], str) for row in table.rows)
    for name, kind in (("table", Table), ("figure", Figure), ("picture", Picture), ("sound", Sound)):
        environment.tests[name] = lambda value, kind=kind: isinstance(value, kind)
    css, js = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return environment.get_template("page.html.j2").render(report=report, css=css, js=js, version=__version__) + "\n"


def numeric_columns(table: Table) -> set[int]:
    """Indices of the columns that hold only numbers, to be right-aligned."""
    columns = range(table.words, len(table.columns))
    texts = {k: [row[k] for row in table.rows] for k in columns}
    return {k for k, cells in texts.items() if all(isinstance(c, str) and _NUMBER.fullmatch(c) for c in cells)}


def as_markdown(report: Report) -> str:
    """The report as Markdown, without images and audio in table cells."""
    lines = [f"# {stamped(report.title, report.stamps)}", ""]
    for head in report.headlines:
        figures = ", ".join(f"{what} {value} ({uncertainty})" for value, what, uncertainty in head.figures)
        lines.append(f"- **{stamped(head.title, head.stamps)}**, {_flat(head.system)}: {figures}")
        lines += [f"  - {_flat(answer)}" for answer in head.answers]
    for section in report.sections:
        lines += ["", f"## {section.title}"]
        for item in section.items:
            if isinstance(item, Table):
                lines += ["", *_markdown_table(item)]
            elif isinstance(item, Figure):
                lines += ["", f"**{stamped(item.title, item.stamps)}** ([PDF](figures/{item.name}.pdf))", ""]
                lines += [f"![{_flat(item.alt)}](figures/{item.name}.png)", *_notes(item.notes)]
                lines += ["", *_markdown_table(item.table)] if item.table else []
            else:
                lines += ["", f"**{_flat(item.text)}**" if item.warning else _flat(item.text)]
    return "\n".join(lines) + "\n"


def _markdown_table(table: Table) -> list[str]:
    """The lines of a table and its notes."""
    shown = [k for k in range(len(table.columns)) if all(isinstance(row[k], str) for row in table.rows)]
    numeric = numeric_columns(table)
    lines = [f"**{stamped(table.title, table.stamps)}**", "", _line(table.columns[k] for k in shown)]
    lines.append(_line("---:" if k in numeric else "---" for k in shown))
    for number, row in enumerate(table.rows):
        cells = (_flat(row[k]) for k in shown)
        lines.append(_line(f"**{cell}**" if number in table.ours and cell else cell for cell in cells))
    return lines + _notes(table.notes)


def _notes(notes: Iterable[str]) -> list[str]:
    """Notes as paragraphs in italics."""
    return [line for note in notes for line in ("", f"_{_flat(note)}_")]


def _line(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def _flat(text: str) -> str:
    """`text` on one line, with Markdown and HTML escaped."""
    return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", " ".join(text.split()))
