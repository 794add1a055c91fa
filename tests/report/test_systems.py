"""What is read out of an experiments' folder."""

import shutil
from pathlib import Path

import pytest

from sertk.errors import SertkError
from sertk.report.systems import find_experiments, folds_of, ordered


def test_systems_of_the_same_folds_are_one_experiment(experiments):
    assert [(e.name, e.short, [s.name for s in e.systems]) for e in experiments] == [
        ("exp1", "Exp 1", ["exp1", "exp1_scratch"]),
        ("exp3", "Exp 3", ["exp3"]),
    ]
    for system in (system for experiment in experiments for system in experiment.systems):
        outside = "the network it was initialised from had training speakers outside the test set's lists"
        assert (outside in system.guard[0]) == (system.what == "frozen trunk, new head")
        assert outside in system.guard[0] or system.guard[0].startswith("clean: ")
    assert [s.what for s in experiments[0].systems] == ["frozen trunk, new head", "without transfer"]


def test_a_folder_may_be_named_from_where_one_stands(experiments, root, monkeypatch):
    monkeypatch.chdir(root)
    found = find_experiments(Path("exp"))
    assert [len(e.systems) for e in found] == [len(e.systems) for e in experiments]


def test_systems_of_equal_folds_elsewhere_share_an_experiment(root, tmp_path):
    (tmp_path / "exp").mkdir()
    shutil.copytree(root / "exp" / "exp1", tmp_path / "exp" / "exp1")
    (tmp_path / "exp" / "exp1_scratch").symlink_to(root / "exp" / "exp1_scratch")
    found = find_experiments(tmp_path / "exp")
    assert [[s.name for s in e.systems] for e in found] == [["exp1", "exp1_scratch"]]


def test_renumbered_folds_are_of_the_same_experiment(root, tmp_path):
    (tmp_path / "exp").mkdir()
    for name in ("exp1", "exp1_scratch"):
        (tmp_path / "exp" / name).mkdir()
        for path in (root / "exp" / name).iterdir():
            if path.name != "folds":
                (tmp_path / "exp" / name / path.name).symlink_to(path)
        shutil.copytree(root / "exp" / "exp1" / "folds", tmp_path / "exp" / name / "folds")
    other = tmp_path / "exp" / "exp1_scratch" / "folds" / "utt2fold"
    pairs = [line.split() for line in other.read_text().splitlines()]
    other.write_text("".join(f"{key} {int(fold) % 5 + 1}\n" for key, fold in pairs))
    found = find_experiments(tmp_path / "exp")
    assert [[s.name for s in e.systems] for e in found] == [["exp1", "exp1_scratch"]]
    # Another division is another experiment.
    other.write_text("".join(f"{key} {1 + n % 5}\n" for n, (key, _) in enumerate(pairs)))
    with pytest.raises(SertkError, match="was scored by fold 1's model"):
        find_experiments(tmp_path / "exp")


def test_folds_are_those_of_the_folder_that_a_name_begins_with(root):
    assert folds_of(root / "exp" / "exp1_scratch").samefile(root / "exp" / "exp1" / "folds")
    (root / "lonely_one").mkdir()
    with pytest.raises(
        SertkError, match=r"lonely_one: has results\.json but no folds/utt2fold, and neither has lonely beside"
    ):
        folds_of(root / "lonely_one")


def test_stamps_stand_once_and_the_gravest_first():
    assert ordered(["MINE", "SPEAKER-DEPENDENT", "LEAKY", "MINE"]) == ("LEAKY", "SPEAKER-DEPENDENT", "MINE")
