"""Confusion matrices: names that touch no other."""

import itertools
import json
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from label_names import LABELS
from matplotlib.figure import Figure as Canvas

import sertk.report.figures as figures
from sertk.report.drawing import STYLE, make_readable
from sertk.report.lettering import missing

pytestmark = pytest.mark.usefixtures("only_dejavu")


def experiment(labels, name):
    counts = np.full((len(labels), len(labels)), 7)
    results = {"labels": labels, "confusion": {"counts": counts.tolist(), "rows": (counts / counts.sum(1)).tolist()},
               "mean": {"ua": 0.6, "wa": 0.7}}  # fmt: skip
    return SimpleNamespace(short=name, of_paper=True, systems=[SimpleNamespace(results=results)])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", LABELS)
def test_no_name_of_a_confusion_matrix_touches_another(kind, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "figure", lambda name, title, draw, size, *rest: drawn.append((draw, size)))
    figures.confusion_figure([experiment(LABELS[kind], "Exp 1"), experiment(LABELS[kind], "a_long_name_" * 9)], "f", ())
    draw, size = drawn[0]
    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas)
        make_readable(canvas)
        canvas.draw_without_rendering()
        page = canvas.bbox
        for axes in canvas.axes:
            for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
                boxes = [label.get_window_extent() for label in labels]
                assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
                assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 for box in boxes)
                assert not any(missing(label.get_text()) for label in labels)
        titles = [axes._left_title.get_window_extent() for axes in canvas.axes]
        assert titles[0].x1 < titles[1].x0 and titles[1].x1 <= page.x1


def test_table_2_and_figure_3_have_the_counts(page, stamped_folder):
    assert "| Exp 3 | hap | 40 | 1636 | -1596 |" in page[1]
    found = json.loads((stamped_folder / "exp" / "exp3" / "results.json").read_text())["confusion"]
    cells = [f"{n} ({100 * part:.1f} %)" for n, part in zip(found["counts"][1], found["rows"][1])]
    assert f"| Exp 3 | hap | {' | '.join(cells)} |" in page[1]
