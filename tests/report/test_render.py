"""A report as Markdown and HTML."""

import re
from html.parser import HTMLParser

import pytest

from sertk.report.build import Choices, build_report
from sertk.report.document import Figure, Paragraph, Report, Section, Table
from sertk.report.render import as_html, as_markdown, numeric_columns

TABLE = Table("t", "Accuracy", ["system", "UA [%]", "note"], [["a|b", "61.6", "x"], ["<i>", "–", "y"]], ("LEAKY",))


@pytest.fixture
def report():
    return Report("Title", ("LEAKY",), [], [Section("s", "Results", [Paragraph("All *runs* are here."), TABLE])])


def test_markdown_escapes_what_people_wrote(report):
    lines = as_markdown(report).splitlines()
    assert lines[0] == "# Title [LEAKY]" and "## Results" in lines and "**Accuracy [LEAKY]**" in lines
    assert r"All \*runs\* are here." in lines
    assert r"| a\|b | 61.6 | x |" in lines and r"| \<i\> | – | y |" in lines


def test_html_escapes_what_people_wrote(report):
    html = as_html(report)
    assert "&lt;i&gt;" in html and "<i>" not in html and html.rstrip().endswith("</html>")


def test_only_columns_of_numbers_are_right_aligned():
    assert numeric_columns(TABLE) == {1}


class Reader(HTMLParser):
    """Checks that tags are closed in order, and collects ids, references and addresses."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.targets, self.addresses = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name in ("src", "href", "xlink:href", "action", "srcset", "data"):
                (self.targets if value.startswith("#") else self.addresses).append(value)
            elif name == "aria-labelledby":
                self.targets += [f"#{word}" for word in value.split()]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_names_nothing_twice(page):
    read = Reader(page[0])
    assert sorted(read.ids) == sorted(set(read.ids))
    assert {target[1:] for target in read.targets} <= set(read.ids)


def test_nothing_is_fetched_from_elsewhere(page):
    read = Reader(page[0])
    assert all(address.startswith("data:") for address in read.addresses)
    assert all(inside.startswith("#") for inside in re.findall(r"url\(['\"]?([^)'\"]*)", page[0]))
    assert "@import" not in page[0] and not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", page[0])


def test_every_title_of_a_table_or_figure_carries_the_stamp(page):
    html, text, _ = page
    titles = [found[1] for found in re.findall(r"<(h3|h1)\b[^>]*>(.*?)</\1>", html, re.S)]
    assert len(titles) > 20 and all("SIMULATED</strong>" in title for title in titles)
    assert "<title>Emotions from speech: Exp 1, Exp 3 [SIMULATED]</title>" in html
    assert text.startswith("# Emotions from speech: Exp 1, Exp 3 [SIMULATED]\n")
    # A figure that is copied out of the page keeps the word.
    assert all("SIMULATED" in svg for svg in re.findall(r"<svg.*?</svg>", html, re.S))


def test_every_figure_is_a_png_and_a_pdf_beside_the_markdown(page):
    names = re.findall(r"\]\((figures/[^)]*)\)", page[1])
    assert {name[-3:] for name in names} == {"png", "pdf"}
    for name in names:
        head = (page[2] / name).read_bytes()[:8]
        assert head.startswith(b"%PDF-") if name.endswith("pdf") else head == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_every_figure_is_drawn_in_every_form(stamped_folder):
    report = build_report(stamped_folder / "exp", Choices(data=stamped_folder / "data"))
    figures = [item for section in report.sections for item in section.items if isinstance(item, Figure)]
    assert len(figures) > 5
    for figure in figures:
        assert "<svg" in figure.svg and figure.png.startswith(b"\x89PNG") and figure.pdf.startswith(b"%PDF-")


def test_what_people_said_is_text_and_never_markup(page):
    html, text, _ = page
    assert "<b>|" not in html and "&lt;b&gt;|4|&lt;/b&gt;" in html
    assert "well \\<b\\>\\|4\\|\\</b\\>" in text
