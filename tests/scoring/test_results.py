"""The results' JSON and text, beyond what score-loso's tests see."""

import json

import numpy as np
import pytest

from sertk.scoring.results import as_text, evaluate


def example(num=60, folds=3, classes=3):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, num)
    posteriors = rng.dirichlet(np.ones(classes), num)
    posteriors[np.arange(num), truth] += 0.5
    return truth, posteriors / posteriors.sum(axis=1, keepdims=True), np.arange(num) % folds + 1, ["ang", "neu", "sad"]


def test_results_are_plain_json_without_nan():
    truth, posteriors, fold, labels = example()
    truth[truth == 2] = 1  # a class that the whole test lacks
    found = evaluate(truth, posteriors, fold, labels, {"utt2spk": [str(n % 7) for n in range(60)]})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["pooled"]["recalls"]["sad"] is None
    assert found["intervals"]["utt2spk"]["recalls"]["sad"] == [None, None]
    assert found["confusion"]["rows"][2] == [None] * 3
    assert "sad      -" in as_text(found)


def test_one_fold_has_neither_deviation_nor_temperature():
    found = evaluate(*example(folds=1))
    assert found["deviation"] == {"wa": None, "ua": None}
    assert "temperatures" not in found["calibration"]
    text = as_text(found)
    assert text.startswith("%WA ") and "[ one fold, 60 segments ]" in text


def test_durations_are_broken_down_by_quarters_and_names_by_name():
    durations = [f"{n / 7:.2f}" for n in range(60)]
    found = evaluate(*example(), breakdowns={"utt2dur": durations, "utt2spk": ["03", "08"] * 30})
    assert list(found["by"]["utt2dur"]) == ["1: up to 2.14", "2: up to 4.29", "3: up to 6.43", "4: up to 8.43"]
    assert [part["segments"] for part in found["by"]["utt2dur"].values()] == [16, 15, 15, 14]
    assert {name: part["segments"] for name, part in found["by"]["utt2spk"].items()} == {"03": 30, "08": 30}


def test_full_coverage_is_the_pooled_accuracy():
    found = evaluate(*example())
    assert found["coverage"][-1]["coverage"] == 1
    assert found["coverage"][-1]["wa"] == pytest.approx(found["pooled"]["wa"])
    assert sum(row["segments"] for row in found["calibration"]["as_it_is"]["bins"]) == 60
