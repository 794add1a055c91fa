"""Score files of trials: order, foreign columns, the manifest, and lines that are none."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.scoring.backend import ScoredTrials
from sertk.scoring.trials import Trials
from sertk.scoring.trialscores import read_scores, write_scores

TRIALS = Trials(["a", "b", "c"], np.array([0, 0]), np.array([1, 2]), np.array([True, False]), 0)
RESULTS = {"mean": None, "norm": None, "calibration": None, "stamps": ["SIMULATED"], "leaks": []}


@pytest.fixture
def written(tmp_path):
    scored = ScoredTrials(TRIALS, TRIALS, np.array([1 / 3, -2.0]), None, None, {}, "e", {"model": "m"})
    write_scores(tmp_path / "scores", scored, RESULTS)
    return tmp_path / "scores"


def test_scores_come_back_with_the_settings_of_their_embeddings(written):
    assert written.read_text() == "a b 0.333333333\na c -2\n"
    scores, settings = read_scores(written, TRIALS)
    assert scores == pytest.approx([1 / 3, -2], abs=1e-9)
    assert settings["model"] == "m" and settings["stamps"] == ["SIMULATED"]


def test_scores_of_others_are_read_in_any_order(tmp_path):
    (tmp_path / "scores").write_text("x y 1\na c 0.25 nontarget\na b 1e-2 target\n")
    scores, settings = read_scores(tmp_path / "scores", TRIALS)
    assert scores.tolist() == [0.01, 0.25] and settings is None


def test_trials_without_a_score_are_nan(tmp_path):
    (tmp_path / "scores").write_text("a b 1\nb a 3\n")
    assert np.isnan(read_scores(tmp_path / "scores", TRIALS)[0]).tolist() == [False, True]


def test_an_overwritten_file_has_no_manifest(written, caplog):
    written.write_text("a b 1\na c 2\n")
    assert read_scores(written, TRIALS)[1] is None and "overwritten?" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b\n", "scores:1: 'a b' is not a score"),
        ("a b 1\na c nan\n", "scores:2: 'a c nan' is not a score"),
        ("a b target\n", "scores:1: 'a b target' is not a score"),
        ("x y 1\n", "scores: has no score of any of the trials"),
        ("", "scores: has no score of any of the trials"),
    ],
)
def test_what_is_not_a_score_file_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "scores").write_text(text)
    with pytest.raises(SertkError, match=message):
        read_scores(tmp_path / "scores", TRIALS)
