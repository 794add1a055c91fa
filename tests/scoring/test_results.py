"""The results' JSON and text, beyond what score-loso's tests see."""

import json
import re

import numpy as np
import pytest

from sertk.scoring.results import evaluate
from sertk.scoring.text import as_text


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
    assert found["pooled"]["recalls"]["sad"] is None and found["intervals"]["segment"]["recalls"]["sad"] == [None, None]
    assert re.search(r"^speakers +7 .* -$", as_text(found), re.M)


def test_one_fold_has_neither_deviation_nor_temperature():
    found = evaluate(*example(folds=1))
    assert found["deviation"] == {"wa": None, "ua": None, "macro_f1": None}
    assert "temperatures" not in found["calibration"]
    text = as_text(found)
    assert text.startswith("%WA ") and "[ one fold, 60 segments, one training run, 95 % of the pooled UA " in text
    assert text.splitlines()[0].endswith(" by 60 segments as if independent ]")


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


def test_several_runs_are_their_mean_with_their_spread():
    truth, posteriors, fold, labels = example()
    other = np.roll(posteriors, 1, axis=1)
    both = evaluate(truth, np.stack([posteriors, other]), fold, labels)
    each = [evaluate(truth, one, fold, labels) for one in (posteriors, other)]
    for what in ("wa", "ua"):
        values = [found["mean"][what] for found in each]
        assert both["mean"][what] == pytest.approx(np.mean(values))
        assert both["runs"][what] == pytest.approx(values)
        assert both["runs"]["deviation"][what] == pytest.approx(np.std(values, ddof=1))
    assert both["segments"] == both["pooled"]["segments"] == 60 and np.sum(both["confusion"]["counts"]) == 120
    assert sum(part["segments"] for part in both["folds"].values()) == 60
    text = as_text(both)
    assert "mean of 2 training runs" in text.splitlines()[0] and "one training run" not in text
    assert "one training run" in as_text(each[0]).splitlines()[0] and each[0]["runs"]["deviation"]["ua"] is None


def test_baselines_worked_by_hand():
    found = evaluate(np.array([0, 0, 0, 1, 2]), np.eye(3)[[0, 1, 2, 0, 1]], np.ones(5, dtype=int), ["a", "b", "c"])
    # F1 of always a: 2 * 3 / (3 + 5), and 0 of the others.
    assert found["baselines"]["majority"] == {"label": "a", "wa": 0.6, "ua": pytest.approx(1 / 3), "macro_f1": 0.25}
    assert found["baselines"]["chance"] == {"wa": 1 / 3, "ua": 1 / 3}


def test_parts_have_intervals_by_speaker_where_they_have_two():
    truth, posteriors, _, labels = example()
    speakers = np.array([str(n // 10) for n in range(60)])
    by = {"half": ["one"] * 10 + ["many"] * 50}
    found = evaluate(truth, posteriors, np.arange(60) // 10 + 1, labels, {"utt2spk": speakers}, by)["by"]["half"]
    assert found["one"]["interval"] is None
    assert found["many"]["interval"]["clusters"] == 5
    low, high = found["many"]["interval"]["wa"]
    assert low < found["many"]["wa"] < high


def test_gaps_are_those_of_properties_of_speakers():
    truth, posteriors, fold, labels = example()
    speakers = [f"{n % 12:02}" for n in range(60)]
    by = {"gender": ["fm"[n % 2] for n in range(60)], "utt2dur": [f"{n}.5" for n in range(60)]}
    found = evaluate(truth, posteriors, fold, labels, {"utt2spk": speakers}, by)
    assert list(found["gaps"]) == ["gender"]
    one, other = (part["ua"] for part in found["by"]["gender"].values())
    assert found["gaps"]["gender"]["ua"]["gap"] == pytest.approx(abs(one - other))
    assert evaluate(truth, posteriors, fold, labels, {"utt2session": speakers}, by)["gaps"] == {}
    lines = as_text(found).splitlines()
    assert any(re.fullmatch(r"gender +UA +\d+\.\d\d +[01]\.\d+ +[01]\.\d+ +[fm] +[fm]", line) for line in lines)
    assert "speakers by gender: f 6, m 6" in lines


def test_every_field_is_documented():
    from support import ROOT

    text = (ROOT / "docs" / "results.md").read_text()
    found = evaluate(*example(), {"utt2spk": [str(n % 7) for n in range(60)]}, {"half": ["a", "b"] * 30})
    genders = {"gender": ["f", "m"] * 30}
    gap = evaluate(*example(), {"utt2spk": [str(n % 10) for n in range(60)]}, genders)["gaps"]["gender"]
    inside = [gap, gap["ua"], gap["recall"]]
    inside += [found["calibration"]["as_it_is"], found["intervals"]["utt2spk"], found["by"]["half"]["a"]["interval"],
              found["runs"], found["pooled"], found["coverage"][0], found["baselines"]]  # fmt: skip
    missing = {name for part in (found, *inside) for name in part} - set(re.findall(r"[a-z_0-9]+", text))
    assert not missing
