"""Figures: SVG for the page, PNG and PDF, the same bytes for the same numbers."""

from sertk.report.drawing import figure, look_of


def drawn(stamps=()):
    return figure("curve", "A curve", lambda canvas: canvas.add_subplot().plot([0, 1], [2, 3]), (3, 2), "rises", stamps)


def test_a_figure_has_three_forms():
    picture = drawn()
    assert picture.png.startswith(b"\x89PNG") and picture.pdf.startswith(b"%PDF") and "<svg" in picture.svg
    assert (picture.name, picture.title, picture.alt) == ("curve", "A curve", "rises") and "rises" in picture.svg


def test_the_same_drawing_has_the_same_bytes():
    one, other = drawn(), drawn()
    assert (one.svg, one.png, one.pdf) == (other.svg, other.png, other.pdf)


def test_stamps_are_drawn_into_the_figure():
    assert "LEAKY" in drawn(("LEAKY",)).svg and "LEAKY" not in drawn().svg


def test_twelve_systems_look_different():
    assert len({tuple(look_of(number).values()) for number in range(12)}) == 12
