"""Names of any script and length in figures: nothing overlaps, nothing is a box, nothing is warned of by matplotlib."""

import logging

import matplotlib
import pytest
from label_names import LABELS

import sertk.report.lettering as lettering
from sertk.report.drawing import figure
from sertk.report.lettering import families, missing, names_in_figure, wrapped
from sertk.scoring.columns import cells

pytestmark = pytest.mark.usefixtures("only_dejavu")


@pytest.mark.filterwarnings("error")
def test_a_name_without_a_font_is_replaced_with_one_warning(caplog):
    with caplog.at_level(logging.WARNING, "sertk"):
        names = names_in_figure(LABELS["wide"])
        assert names_in_figure(LABELS["wide"]) == names
    assert names.shown == ["angry", "neutral", "sad", "<unk>"]
    assert names.key == "In the figure, angry is 生气/angry, neutral is 中立/neutral, sad is 难过/sad."
    assert len(caplog.records) == 1 and "'生气/angry' is shown as 'angry'" in caplog.text
    assert "(Debian packages: fonts-noto-cjk)" in caplog.text
    assert names_in_figure(LABELS["other"]).shown == ["class 1", "class 2", "class 3", "class 4"]
    assert names_in_figure(LABELS["arabic"]).shown == LABELS["arabic"]
    assert names_in_figure(LABELS["accents"]).shown == ["colére", "dégoût", "joie", "a$x$"]


@pytest.mark.filterwarnings("error")
def test_a_system_font_is_used_if_dejavu_lacks_letters(monkeypatch):
    """STIX, which comes with matplotlib too, has a letter that DejaVu Sans lacks."""
    path = matplotlib.get_data_path() + "/fonts/ttf/STIXGeneral.ttf"
    letter = next(
        chr(code) for code in sorted(lettering._letters(path)) if missing(chr(code)) and chr(code).isprintable()
    )
    monkeypatch.setattr(lettering, "_fonts", lambda: (("STIXGeneral", path),))
    lettering._family_of.cache_clear()
    assert not missing(letter) and families([f"a{letter}"]) == ["DejaVu Sans", "STIXGeneral"]
    figure("one", "One", lambda canvas: canvas.subplots().set_title(letter), (2, 2), "alt")


def test_names_that_are_alike_when_cut_are_numbered():
    names = names_in_figure(["surprise_positive", "surprise_positivity", "sad"], 10)
    assert names.shown == ["1 surpris…", "2 surpris…", "sad"] and names.width == 10
    assert "2 surpris… is surprise_positivity" in names.key
    assert wrapped("one two three", 8) == "one two\nthree" and max(map(cells, wrapped("生" * 30, 9).split("\n"))) <= 9
