"""plot-training: the picture's lines are the records' numbers."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from sertk.errors import SertkError
from sertk.report import curves, drawing


def write_run(folder, losses, **more):
    folder.mkdir(parents=True)
    records = [{"epoch": n, "loss": loss, "accuracy": 1 / (1 + loss), "learning_rate": 0.01, **more}
               for n, loss in enumerate(losses, 1)]  # fmt: skip
    (folder / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def lines(monkeypatch):
    """lines(folders) -> {title of a panel: [(epochs, values, width), …]} of what is drawn."""
    kept = []

    def canvas(*args, **kwargs):
        kept.append(Canvas(*args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(drawing, "Canvas", canvas)

    def draw(*folders):
        curves.runs_figure(curves.read_runs(folders))
        return {
            axes.get_title(loc="left"): [(list(line.get_xdata()), list(line.get_ydata()), line.get_linewidth())
                                         for line in axes.get_lines()]
            for axes in kept[-1].axes if axes.get_visible()
        }  # fmt: skip

    return draw


def test_a_run_is_a_line_in_a_panel_for_each_quantity_that_it_tells(tmp_path, lines):
    write_run(tmp_path / "a", [2, 1, 0.5])
    write_run(tmp_path / "b", [3, 1], chunks_per_second=70.0)
    drawn = lines(tmp_path / "a", tmp_path / "b")
    assert list(drawn) == ["loss", "training accuracy [%]", "learning rate", "chunks a second"]
    assert drawn["loss"] == [([1, 2, 3], [2, 1, 0.5], 1.8), ([1, 2], [3, 1], 1.8)]
    assert drawn["training accuracy [%]"][1] == ([1, 2], [25, 50], 1.8)
    assert drawn["chunks a second"] == [([], [], 1.8), ([1, 2], [70, 70], 1.8)]


def test_folds_are_thin_lines_under_their_mean_as_far_as_all_have_come(tmp_path, lines):
    write_run(tmp_path / "exp/1", [2, 1, 0.5])
    write_run(tmp_path / "exp/2", [4, 2])
    (thin, values, _), (_, others, _), (epochs, mean, wide) = lines(tmp_path / "exp")["loss"]
    assert (thin, values, epochs, mean, wide) == ([1, 2, 3], [2, 1, 0.5], [1, 2], [3, 1.5], 1.8)
    assert others[:2] == [4, 2] and np.isnan(others[2])


def test_a_run_without_an_epoch_is_named(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/train.jsonl").write_text("")
    with pytest.raises(SertkError, match=r"new: neither it nor its folds have a train\.jsonl with a finished epoch"):
        curves.read_runs([tmp_path / "new"])


def test_png_and_pdf_are_written(tmp_path, call):
    write_run(tmp_path / "a", [2, 1])
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        call("plot-training", tmp_path / "a", tmp_path / f"out{suffix}")
        assert (tmp_path / f"out{suffix}").read_bytes().startswith(magic)
