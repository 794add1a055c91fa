"""import-scores: predictions of a scikit-learn model in a table are judged, and a leaking one is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sertk.datadir.lists import read_list
from sertk.kaldi.tables import read_table

CLASSES = ["hap", "neu"]


@pytest.fixture
def task(call, here):
    """A data folder of six speakers in three sessions, its folds, and vectors that say something of the classes."""
    keys = [f"Ses{s}{g}-{label}{n}" for s in (1, 2, 3) for g in "FM" for label in CLASSES for n in range(4)]
    (here / "data").mkdir()
    for name, value in (("utt2label", lambda k: k[6:9]), ("utt2spk", lambda k: k[:5]), ("utt2session", lambda k: k[:4]),
                        ("wav.scp", lambda k: f"/corpus/{k}.wav")):  # fmt: skip
        (here / "data" / name).write_text("".join(f"{key} {value(key)}\n" for key in sorted(keys)))
    call("make-folds", "data", "folds")
    random = np.random.default_rng(0)
    vectors = {key: random.normal(0, 1, 3) + (key[6:9] == "hap") for key in sorted(keys)}
    return vectors, read_list("folds/utt2fold"), read_list("folds/utt2label")


def predict(task, trained, tested, path):
    """Train scikit-learn's logistic regression on some segments, and write its predict_proba as pandas would."""
    vectors, _, utt2label = task
    model = LogisticRegression().fit([vectors[key] for key in trained], [utt2label[key] for key in trained])
    with open(path, "a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(["file", *model.classes_, "predicted"])
        probabilities = model.predict_proba([vectors[key] for key in tested])
        for key, row in zip(tested, probabilities):
            writer.writerow([f"wavs/{key}.flac", *row, model.classes_[row.argmax()]])
    return dict(zip(tested, probabilities))


def cross_validated(task, path):
    vectors, utt2fold, _ = task
    posteriors = {}
    for fold in sorted(set(utt2fold.values())):
        tested = [key for key in vectors if utt2fold[key] == fold]
        posteriors |= predict(task, [key for key in vectors if utt2fold[key] != fold], tested, path)
    return posteriors


def test_a_scikit_learn_model_is_judged(call, task):
    posteriors = cross_validated(task, "svm.csv")
    call("import-scores", "--data", "data", "--trained-on", "folds", "svm.csv", "folds", "exp/sk")
    read = {key: row for n in "123" for key, row in read_table(f"ark:exp/sk/{n}/scores.ark", kind="vector")}
    assert read.keys() == posteriors.keys()
    assert all(read[key] == pytest.approx(posteriors[key], abs=1e-6) for key in read)
    before = Path("exp/sk/1/scores.manifest").read_bytes()
    Path("exp/sk/3").rename("exp/sk/third")
    Path("exp/sk/3").write_text("")  # all folds or none
    other = ("--declared", "something", "--data", "data", "--trained-on", "folds", "svm.csv", "folds", "exp/sk")
    call("import-scores", *other, code=1)
    assert Path("exp/sk/1/scores.manifest").read_bytes() == before
    Path("exp/sk/3").unlink()
    Path("exp/sk/third").rename("exp/sk/3")
    call("score-loso", "--json", "exp/sk/results.json", "folds/utt2label", "folds/utt2fold", "exp/sk")
    results = json.loads(Path("exp/sk/results.json").read_text())
    guesses = {key: CLASSES[row.argmax()] for key, row in posteriors.items()}
    assert results["pooled"]["wa"] == pytest.approx(np.mean([guesses[key] == key[6:9] for key in guesses]))
    assert (results["guard"], results["stamps"]) == ("clean", [])
    # Compared with another one in the same folds, and reported.
    predict_all = {key: row[::-1] for key, row in posteriors.items()}
    lines = [f"{key},{row[0]},{row[1]}" for key, row in predict_all.items()]
    Path("wrong.csv").write_text("\n".join(["key,hap,neu", *lines]))
    call("import-scores", "--trained-on", "folds", "wrong.csv", "folds", "exp/wrong")
    assert "exp/wrong" in call("compare-scores", "folds/utt2label", "exp/sk", "exp/wrong").text


def test_a_leaking_model_is_refused(call, task):
    """Trained on all segments, as it says itself; and one that was trained on a test speaker."""
    everything = list(task[0])
    predict(task, everything, everything, "leaky.csv")
    Path("train.list").write_text("\n".join(everything))
    call("import-scores", "--data", "data", "--trained-on", "train.list", "leaky.csv", "folds", "exp/leaky")
    words = ("score-loso", "folds/utt2label", "folds/utt2fold", "exp/leaky")
    result = call(*words, code=1)
    assert "exp/leaky/scores.ark: test segment Ses1F-hap0 and 47 more in its training" in result.err
    assert "LEAKY" in call(words[0], "--i-know", "true", *words[1:]).text
    Path("speakers").write_text("Ses2F\nelsewhere\n")
    call("import-scores", "--data", "data", "--training-speakers", "speakers", "leaky.csv", "folds", "exp/speakers")
    result = call("score-loso", "folds/utt2label", "folds/utt2fold", "exp/speakers", code=1)
    assert "test speaker Ses2F in its training" in result.err


def test_undeclared_training_is_stamped(call, task):
    predict(task, list(task[0]), list(task[0]), "p.csv")
    result = call("import-scores", "--data", "data", "p.csv", "folds", "exp/p")
    assert "no training data is declared: results will be stamped UNDECLARED" in result.err
    headline = call("score-loso", "folds/utt2label", "folds/utt2fold", "exp/p").text.splitlines()[0]
    assert "UNDECLARED" in headline and "leaks unchecked" in headline
    call("import-scores", "--data", "data", "--declared", "MSP-Podcast", "p.csv", "folds", "exp/q")
    result = call("score-loso", "folds/utt2label", "folds/utt2fold", "exp/q")
    assert (
        "UNDECLARED" not in result.text
        and "its model was trained on 'MSP-Podcast', which lists no speakers" in result.err
    )


def test_predictions_by_a_speakers_mean_are_stamped(call, task):
    cross_validated(task, "p.csv")
    words = ("--data", "data", "--trained-on", "folds", "--transductive", "true")
    call("import-scores", *words, "p.csv", "folds", "exp/p")
    headline = call("score-loso", "folds/utt2label", "folds/utt2fold", "exp/p").text.splitlines()[0]
    assert headline.endswith("speaker-independent ] TRANSDUCTIVE")


def test_one_fold_has_one_model(call, task):
    """As a recipe does it: a table and a training list (a utt2spk) for each fold."""
    vectors, utt2fold, _ = task
    speakers = read_list("data/utt2spk")
    for fold in "123":
        trained = [key for key in vectors if utt2fold[key] != fold]
        predict(task, trained, [key for key in vectors if utt2fold[key] == fold], f"{fold}.csv")
        Path(f"train.{fold}").write_text("".join(f"{key} {speakers[key]}\n" for key in trained))
        words = ("--data", "data", "--fold", fold, "--trained-on", f"train.{fold}", f"{fold}.csv", "folds", "exp/sk")
        call("import-scores", *words)
    assert "UNDECLARED" not in call("score-loso", "folds/utt2label", "folds/utt2fold", "exp/sk").text
    assert "no segment is in fold 9" in call("import-scores", "--fold", 9, "1.csv", "folds", "exp/sk", code=1).err
    cross_validated(task, "all.csv")
    result = call("import-scores", "--data", "data", "all.csv", "folds", "exp/sk", code=1)
    assert "exp/sk: has 1/scores.ark already" in result.err


def test_a_class_that_no_segment_is_given_is_named(call, task):
    """The table may call it otherwise."""
    Path("p.csv").write_text("".join(["file,predicted\n", *(f"{key},hap\n" for key in task[0])]))
    result = call("import-scores", "--declared", "x", "p.csv", "folds", "exp/p")
    assert "no segment has any probability of neu (--label-map maps labels" in result.err


def test_a_column_of_the_truth_is_suspected(call, task):
    """A table whose predictions are called otherwise, so that its column `label` is read."""
    keys = list(task[0])
    for wrong in ([], keys[:1]):
        rows = [f"{key},{key[6:9]},{'neu' if key in wrong else key[6:9]}\n" for key in keys]
        Path("p.csv").write_text("".join(["file,label,answer\n", *rows]))
        words = ("--declared", "x", "--columns", "label=answer") if wrong else ("--declared", "x")
        result = call("import-scores", *words, "p.csv", "folds", "exp/p")
        assert ("is that the column of the truth? (--columns label=NAME)" in result.err) == (not wrong)
