"""Results of earlier calls: current, or of other scores, folds, trials or models."""

import json
import os

import numpy as np
import pytest
from scoredsystems import RIGHT, write_results, write_scores, write_system, write_test

from sertk.errors import SertkError
from sertk.kaldi.tables import table_writer
from sertk.scoring.backend import ScoredTrials
from sertk.scoring.stored import as_written, current_results, current_trials, read_results
from sertk.scoring.testset import read_test
from sertk.scoring.trials import read_trials
from sertk.scoring.trialscores import write_scores as write_trial_scores


@pytest.fixture
def test_set(tmp_path):
    write_test(tmp_path / "folds")
    return read_test(tmp_path / "folds/utt2label", tmp_path / "folds/utt2fold", None)


def test_results_are_current_until_scores_or_labels_change(tmp_path, test_set):
    path = tmp_path / "a/results.json"
    write_system(path.parent, wa=0.5)
    assert current_results(path, test_set, ("mean",))["mean"]["wa"] == 0.5
    write_scores(path.parent, np.roll(RIGHT, 1))
    with pytest.raises(SertkError, match=r"a/results.json: does not match the current scores and folds"):
        current_results(path, test_set, ("mean",))
    # Elsewhere, as those of one corpus of two are.
    write_scores(tmp_path / "elsewhere")
    assert current_results(path, test_set, ("mean",), tmp_path / "elsewhere")
    labels = tmp_path / "folds/utt2label"
    labels.write_text(labels.read_text().replace("s0-a a", "s0-a b"))
    with pytest.raises(SertkError, match="does not match the current scores and folds"):
        current_results(path, read_test(labels, labels.with_name("utt2fold"), None), (), tmp_path / "elsewhere")


def test_results_of_models_of_other_folds_are_refused(tmp_path, test_set):
    """The same segments, labels and scores; differences between protocols are of other folds on purpose."""
    path = tmp_path / "a/results.json"
    path.parent.mkdir()
    write_results(path)
    for fold in ("1", "2"):
        settings = {"trained_on": {"fold": fold}}
        (path.parent / fold).mkdir()
        with table_writer(f"ark:{path.parent}/{fold}/scores.ark", kind="vector", settings=settings) as write:
            for key, one in zip(test_set.keys, RIGHT):
                if fold == str(1 + (test_set.utt2fold[key] > 2)):
                    write(key, np.eye(2, dtype=np.float32)[one])
    with pytest.raises(
        SertkError, match=r"s2-a was scored by fold 1's model, utt2fold has it in 2 \(train and predict again"
    ):
        current_results(path, test_set, ())
    assert current_results(path, test_set, (), any_folds=True)


def test_results_of_a_model_trained_again_are_refused(tmp_path, test_set, call, speakers):
    """By its scores, also where these are links."""
    folder = tmp_path / "a"
    folder.mkdir()
    with table_writer(f"ark:{folder}/scores.ark", kind="vector", settings={"model": "0" * 64}) as write:
        for key, one in zip(test_set.keys, RIGHT):
            write(key, np.eye(2, dtype=np.float32)[one])
    write_results(folder / "results.json")
    (tmp_path / "linked").mkdir()
    for name in ("scores.ark", "scores.manifest"):
        (tmp_path / "linked" / name).symlink_to(folder / name)
    sources = (None, tmp_path / "linked")
    for source in sources:
        assert current_results(folder / "results.json", test_set, (), source)
    (folder / "final.pt").write_bytes(speakers.read_bytes())
    for source in sources:
        with pytest.raises(SertkError, match=r"not by .*a/final.pt, which was trained again since"):
            current_results(folder / "results.json", test_set, (), source)


def test_results_that_are_not_what_is_written_are_named(tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(SertkError, match=r"results.json: is missing"):
        read_results(path, ())
    for text, needed in (("{", ()), ("3", ()), ('{"mean": {}}', ("mean", "stamps"))):
        path.write_text(text)
        with pytest.raises(SertkError, match=r"results.json: not "):
            read_results(path, needed)
    with (
        pytest.raises(SertkError, match=r"results.json: not what score-loso --json writes: KeyError"),
        as_written(path),
    ):
        json.loads('{"mean": {}}')["mean"]["wa"]


def test_trial_results_are_current_until_scores_or_model_change(tmp_path, speakers):
    """Two of each kind, one of each on the wrong side: half of the trials."""
    for path in ("trials", "o.json", "o"):
        (tmp_path / path).touch()
    (tmp_path / "trials").write_text("a b target\nc d target\ne f nontarget\ng h nontarget\n")
    trials = read_trials(tmp_path / "trials")
    words = {"mean": None, "norm": None, "calibration": None, "stamps": [], "leaks": []}
    model = tmp_path / "final.pt"

    def put(scores):
        scored = ScoredTrials(trials, trials, np.array(scores), None, None, {}, "e", {"model": "0" * 64})
        write_trial_scores(tmp_path / "o", scored, words)

    def current():
        return current_trials(tmp_path / "o.json", tmp_path / "trials", tmp_path / "o", model)

    put([1.0, -1.0, 0.5, -2.0])
    (tmp_path / "o.json").write_text('{"eer": 0.5, "trials": 4}')
    assert current()["eer"] == 0.5
    model.write_bytes(speakers.read_bytes())
    os.utime(model, (0, 0))  # of an average of its epochs, say
    assert current()
    os.utime(model)
    with pytest.raises(SertkError, match=r"o: not by .*final.pt, which was trained again since"):
        current()
    model.unlink()
    put([1.0, 0.75, 0.5, -2.0])
    with pytest.raises(SertkError, match=r"o.json: does not match the current scores and trials"):
        current()
