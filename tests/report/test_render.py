"""A report as Markdown and HTML."""

import pytest

from sertk.report.document import Paragraph, Report, Section, Table
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
