"""score-loso: scores and maps that are refused."""

import numpy as np
import pytest
from experiment import Experiment, score


@pytest.fixture
def made(tmp_path):
    return Experiment(tmp_path)


def lose(made, utt):
    del made.posteriors[utt]


def spoil(made, utt, vector):
    made.posteriors[utt] = np.array(vector, dtype=np.float32)


FIRST, SECOND = "Ses01F-ang0", "Ses02F-neu2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda made: lose(made, SECOND), f"{SECOND} is in the test set but not scored"),
        (
            lambda made: [lose(made, utt) for utt in (FIRST, SECOND)],
            f"{FIRST} is in the test set but not scored (2 segments are not)",
        ),
        (lambda made: spoil(made, "Ses09F-ang0", [1, 0, 0]), "Ses09F-ang0 is scored but not in the test set"),
        (lambda made: spoil(made, FIRST, [0.5, 0.5]), f"{FIRST}: 2 posteriors for 3 labels (ang neu sad)"),
        (lambda made: spoil(made, FIRST, [3, -1, -1]), f"{FIRST}: not probabilities (lowest -1, sum 1)"),
        (lambda made: spoil(made, FIRST, [2, 1, 0]), f"{FIRST}: not probabilities (lowest 0, sum 3)"),
        (
            lambda made: made.settings[2].update(labels=["neu", "ang", "sad"]),
            "its posteriors are of neu ang sad, expected",
        ),
        (
            lambda made: made.settings[2]["trained_on"].update(fold=3),
            f"{SECOND.replace('neu2', 'ang0')} was scored by fold 3's model",
        ),
        (
            lambda made: made.folds.utt2fold.update({SECOND: 1}),
            f"{SECOND} was scored by fold 1's model, utt2fold has it in 2 (train and predict again in these folds)",
        ),
        (lambda made: made.folds.utt2fold.pop(SECOND), f"{SECOND} is scored twice"),
    ],
)
def test_scores_that_are_not_the_tests_are_refused(call, made, tmp_path, damage, message):
    damage(made)
    made.write()
    (tmp_path / "r.json").write_text("old")
    result = score(call, made, "--json", tmp_path / "r.json", code=1)
    assert message in result.err
    assert result.err.startswith("score-loso: ERROR: ") and result.err.count("\n") == 1
    assert result.out == b"" and (tmp_path / "r.json").read_text() == "old"


def test_a_posterior_that_is_no_number_is_refused(call, made):
    made.write()
    ark = made.root / "nan.ark"
    rows = [f"{utt}  [ {' '.join(map(str, vector))} ]" for utt, vector in made.posteriors.items()]
    ark.write_text("\n".join([*rows[:-1], f"{list(made.posteriors)[-1]}  [ nan 0.5 0.5 ]"]) + "\n")
    result = score(call, made, source=f"ark:{ark}", code=1)
    assert list(made.posteriors)[-1] in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "folds/utt2label",
            f"{FIRST} ang",
            f"{FIRST} joy",
            f"utt2label: {FIRST}: label 'joy' is not one of ang neu sad",
        ),
        ("folds/utt2label", f"{FIRST} ang\n", "", f"utt2label: {FIRST} is missing"),
        ("folds/utt2fold", f"{FIRST} 1\n", "", f"utt2fold: {FIRST} is missing"),
        ("folds/utt2fold", f"{FIRST} 1", f"{FIRST} one", f"utt2fold:1: {FIRST}: 'one' is not a fold number"),
        ("folds/utt2fold", f"{FIRST} 1", f"{FIRST} 1 2", "utt2fold:1: 3 columns, expected 2"),
        ("folds/labels.txt", "neu\n", "ang\n", "labels.txt:2: label ang comes twice"),
        ("folds/scheme.json", "loso", "lotto", "scheme.json: unknown scheme"),
        ("folds/scheme.json", "{", "", "scheme.json: not JSON"),
        ("utt2spk", f"{FIRST} Ses01F\n", "", f"utt2spk: segment {FIRST} of the test set is missing"),
    ],
)
def test_damaged_maps_are_one_line_each(call, made, file, old, new, message):
    made.write()
    path = made.root / file
    path.write_text(path.read_text().replace(old, new, 1))
    result = score(call, made, "--clusters", made.root / "utt2spk", code=1)
    assert message in result.err and result.err.count("\n") == 1


def test_one_cluster_is_no_interval(call, made):
    made.write()
    (made.root / "utt2all").write_text("".join(f"{utt} all\n" for utt in made.utt2label))
    assert "2 different values or more" in score(call, made, "--clusters", made.root / "utt2all", code=1).err


def test_a_folder_without_scores_says_so(call, made):
    assert "neither scores.ark nor 1/scores.ark" in score(call, made, source=made.root / "folds", code=1).err
