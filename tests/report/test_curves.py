"""plot-training: the picture's lines are the records' numbers."""

import json
import os
import re
from pathlib import Path

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


def test_a_run_is_a_line_in_a_panel_for_each_quantity(tmp_path, lines):
    write_run(tmp_path / "a", [2, 1, 0.5])
    write_run(tmp_path / "b", [3, 1], chunks_per_second=70.0)
    drawn = lines(tmp_path / "a", tmp_path / "b")
    assert list(drawn) == ["loss", "training accuracy [%]", "learning rate", "chunks a second"]
    assert drawn["loss"] == [([1, 2, 3], [2, 1, 0.5], 1.8), ([1, 2], [3, 1], 1.8)]
    assert drawn["training accuracy [%]"][1] == ([1, 2], [25, 50], 1.8)
    assert drawn["chunks a second"] == [([], [], 1.8), ([1, 2], [70, 70], 1.8)]


def test_folds_are_thin_lines_under_their_mean(tmp_path, lines):
    write_run(tmp_path / "exp/1", [2, 1, 0.5])
    write_run(tmp_path / "exp/2", [4, 2])
    (thin, values, _), (_, others, _), (epochs, mean, wide) = lines(tmp_path / "exp")["loss"]
    assert (thin, values, epochs, mean, wide) == ([1, 2, 3], [2, 1, 0.5], [1, 2], [3, 1.5], 1.8)
    assert others[:2] == [4, 2] and np.isnan(others[2])


def test_a_run_without_an_epoch_is_named(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/train.jsonl").write_text("")
    with pytest.raises(SertkError, match=r"new: no train\.jsonl with a finished epoch in it or its folds"):
        curves.read_runs([tmp_path / "new"])


def test_a_folder_has_its_name_in_the_legend_whatever_that_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["_run", "$^$", "a_$b$", os.fsdecode(b"x\xff")]
    for name in names:
        write_run(Path(name), [2, 1])
    shown = curves.runs_figure(curves.read_runs(map(Path, names))).svg
    assert [name for name in re.findall(">([^<>]*)</text>", shown) if name in [*names, "x?"]] == [*names[:3], "x?"]
    for name in names:
        assert curves.runs_figure(curves.read_runs([Path(name)])).svg


def test_what_a_record_does_not_tell_is_a_gap(tmp_path, lines):
    write_run(tmp_path / "a", [2, 1], dev_ua=None)
    assert np.isnan(curves.curves(curves.read_runs([tmp_path / "a"])[str(tmp_path / "a")], "dev_ua")[1]).all()
    assert lines(tmp_path / "a")["loss"] == [([1, 2], [2, 1], 1.8)]
