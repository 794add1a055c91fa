"""What is read out of an experiments' folder."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_folder import make

from sertk.errors import SertkError
from sertk.report.breakdowns import breakdown_tables, breakdowns, raters_table
from sertk.report.card import card_table, commands
from sertk.report.data import Data
from sertk.report.masks import shown_masks
from sertk.report.mistakes import mistakes_table
from sertk.report.systems import find_experiments, folds_of, ordered
from sertk.report.tables import folds_table


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("systems")
    make(root)
    return root


@pytest.fixture(scope="module")
def experiments(root):
    return find_experiments(root / "exp")


def test_systems_of_the_same_folds_are_one_experiment(experiments):
    assert [(e.name, e.short, [s.name for s in e.systems]) for e in experiments] == [
        ("exp1", "Exp 1", ["exp1", "exp1_scratch"]),
        ("exp3", "Exp 3", ["exp3"]),
    ]
    assert all(s.guard[0].startswith("clean: ") for e in experiments for s in e.systems)
    assert [s.what for s in experiments[0].systems] == ["frozen trunk, new head", "without transfer"]


def test_a_folder_may_be_named_from_where_one_stands(experiments, root, monkeypatch):
    monkeypatch.chdir(root)
    found = find_experiments(Path("exp"))
    assert [len(e.systems) for e in found] == [len(e.systems) for e in experiments]


def test_a_system_from_elsewhere_with_the_same_folds_is_of_the_same_experiment(root, tmp_path):
    (tmp_path / "exp").mkdir()
    shutil.copytree(root / "exp" / "exp1", tmp_path / "exp" / "exp1")
    (tmp_path / "exp" / "exp1_scratch").symlink_to(root / "exp" / "exp1_scratch")
    found = find_experiments(tmp_path / "exp")
    assert [[s.name for s in e.systems] for e in found] == [["exp1", "exp1_scratch"]]


def test_a_system_of_the_same_division_with_other_fold_numbers_is_of_the_same_experiment(root, tmp_path):
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


def test_breakdowns_count_every_segment_once(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        found = breakdowns(experiment.systems[0], experiment, data)
    assert list(found) == ["gender", "dialogs", "raters who agree", "frames", "speaker"]
    assert all(sum(part["segments"] for part in parts.values()) == 80 for parts in found.values())
    assert list(found["dialogs"]) == ["improvised", "scripted"]
    right = experiment.systems[0].scored.guess == experiment.test.truth
    women = np.array([key[5] == "F" for key in experiment.test.keys])  # Ses01F-…
    assert found["gender"]["female"]["wa"] == pytest.approx(right[women].mean())


def test_systems_stand_side_by_side_in_one_breakdown(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        table, *folded = breakdown_tables(experiment, data)
    assert table.columns[3:] == ["frozen trunk, new head: UA [%] (95 %)", "frozen trunk, new head: WA [%] (95 %)",
                                 "without transfer: UA [%] (95 %)", "without transfer: WA [%] (95 %)"]  # fmt: skip
    row = next(row for row in table.rows if row[1] == "female")
    women = np.array([key[5] == "F" for key in experiment.test.keys])
    for cell, system in zip(row[4::2], experiment.systems, strict=True):
        right = (system.scored.guess == experiment.test.truth)[women].mean()
        assert re.fullmatch(rf"{100 * right:.2f} \(\d+\.\d–\d+\.\d\)", cell)
    # One speaker has no interval.
    assert next(row for row in table.rows if row[1] == "Ses01F")[4].count("(") == 0
    assert [part.folded for part in folded] == [True, True]


def test_the_raters_who_agree_are_a_row_for_each_system(experiments, root):
    experiment = experiments[0]
    with Data(root / "data") as data:
        rows = raters_table(experiment, data).rows
    # Every other segment of the made folder has two votes for anger, the others one for anger, one for sadness.
    assert [(row[1], row[4]) for row in rows] == [("40", "40"), ("40", "40")]
    posteriors = experiment.systems[0].scored.posteriors
    ang, sad = (np.log(posteriors[:, experiment.test.labels.index(label)]) for label in ("ang", "sad"))
    both = np.array([int(key[-3:]) % 2 == 0 for key in experiment.test.keys])
    assert rows[0][7] == f"{-np.where(both, (ang + sad) / 2, ang).mean():.3f}"
    assert rows[0][8] == f"{both.mean() * np.log(2):.3f}"


def test_scripts_that_the_training_has_too_stand_beside_the_fold(experiments):
    experiment = experiments[0]
    scheme = experiment.systems[0].scheme
    scheme["scripts"] = {str(n): {"scripted": 8, "shared": n} for n in range(1, 6)}
    table = folds_table(experiment.systems[0], experiment)
    assert [row[-1] for row in table.rows] == ["1 of 8", "2 of 8", "3 of 8", "4 of 8", "5 of 8", ""]
    assert table.columns[-1] == "shared script" and "the words are not" in table.notes[0]
    del scheme["scripts"]
    assert "shared script" not in folds_table(experiment.systems[0], experiment).columns


def test_errors_are_listed_most_confident_first(experiments, root):
    experiment = experiments[0]
    test, scored = experiment.test, experiment.systems[0].scored
    wrong = [k for k in range(len(test.keys)) if scored.guess[k] != test.truth[k]]
    wanted = sorted(wrong, key=lambda k: -scored.posteriors[k].max())[:4]
    with Data(root / "data") as data:
        table = mistakes_table(experiment, 4, data, audio=True)
    assert [row[0] for row in table.rows] == [test.keys[k] for k in wanted]
    assert [row[3] for row in table.rows] == [f"{100 * scored.posteriors[k].max():.1f}" for k in wanted]
    assert table.columns[-4:] == ["transcript", "raters", "spectrogram", "audio"]
    assert table.rows[0][-2].png.startswith(b"\x89PNG") and table.rows[0][-1].wav.startswith(b"RIFF")
    assert f"The 4 most confident of {len(wrong)} errors in 80 segments." in table.notes


def test_segments_of_longer_recordings_are_cut_out_to_be_heard(experiments, root, tmp_path):
    key, wav = experiments[0].test.keys[0], root / "data" / "tone.wav"
    (tmp_path / "wav.scp").write_text(f"long {wav}\nother {wav}.missing\n")
    (tmp_path / "segments").write_text(f"{key} long 0.05 0.15\nelse other 0 1\n")
    with Data(tmp_path) as data:
        sound = data.sounds([key])[key]
    assert len(sound) == 44 + 2 * 1600


def test_the_masks_of_the_figure_are_the_training_ones_within_the_spectrogram():
    for name, width in (("conservative", 15), ("aggressive", 27)):
        masks = shown_masks(name, "utt", (200, 128), 0)
        assert len(masks) == 4 and masks == shown_masks(name, "utt", (200, 128), 0)
        assert all(0 < bins.stop - bins.start <= width for _, bins in masks[:2])
        assert all(0 < frames.stop - frames.start <= 40 for frames, _ in masks[2:])  # p T = 40
    assert shown_masks("none", "utt", (200, 128), 0) == []


def test_the_card_says_what_the_files_say(experiments, root):
    rows = dict(card_table(experiments[0].systems[0], experiments[0], cards=False).rows)
    assert rows["settings (train.conf)"] == "--epochs=3 --learning-rate=0.01"
    assert rows["training segments of each fold"] == "64, 64, 64, 64, 64"
    assert rows["model selection"] == "last" and rows["front end"] == "cmvn=segment"
    assert rows["folds"] == "scheme=loso part=all seed=0 label_map=ang:ang,hap:hap,neu:neu,sad:sad"


def test_the_card_has_the_commands_of_the_logs(tmp_path):
    (tmp_path / "log").mkdir()
    head = "# Running on host\n# Started at Sun\n# predict-emotion --fold {} 'a b' c\npredict-emotion: Done 9\n"
    for fold in (1, 2, 10):
        (tmp_path / "log" / f"predict.{fold}.log").write_text(head.format(fold))
    (tmp_path / "log" / "transfer.log").write_text("# transfer-head x\n# Started at Sun\n#\n")  # run.pl's order
    (tmp_path / "log" / "empty.log").write_text("nothing\n")
    assert commands(tmp_path) == [
        ["command (log/predict.*.log)", "predict-emotion --fold 1 'a b' c"],
        ["command (log/transfer.log)", "transfer-head x"],
    ]


def test_the_card_in_a_model_is_shown_too(experiments, root):
    from sertk.models.modelfile import write_checked

    content = {"card": {"command": "train-resnet", "settings": {"seed": 7}, "versions": {"torch": "2.11.0"}}}
    write_checked(root / "exp" / "exp3" / "1" / "final.pt", content)
    rows = dict(card_table(experiments[1].systems[0], experiments[1], cards=True).rows)
    assert rows["command (fold 1's model)"] == "train-resnet"
    assert (rows["settings (fold 1's model)"], rows["versions (fold 1's model)"]) == ("seed=7", "torch=2.11.0")
