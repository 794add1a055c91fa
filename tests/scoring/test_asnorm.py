"""AS-Norm against the same written out for each trial, and values worked by hand."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.scoring import asnorm
from sertk.scoring.asnorm import cohort_scores, normalise, speaker_means
from sertk.scoring.trials import Trials, cosine_scores


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    matrix, cohort = unit(rng.normal(size=(40, 16))), unit(rng.normal(size=(90, 16)))
    pairs = rng.integers(0, 40, (500, 2))
    trials = Trials([f"u{n}" for n in range(40)], pairs[:, 0], pairs[:, 1], pairs[:, 0] == pairs[:, 1], 0)
    return matrix, cohort, trials


def written_out(matrix, cohort, trials, top_n, side):
    """AS-Norm of each trial in turn, in float64: sort the cohort's scores, take the first, mean and deviation."""
    matrix, cohort = matrix.astype(np.float64), cohort.astype(np.float64)
    values = []
    for first, second in zip(trials.first, trials.second):
        score, parts = matrix[first] @ matrix[second], []
        for utterance in {"both": (first, second), "enrol": (first,), "test": (second,)}[side]:
            highest = sorted((matrix[utterance] @ other for other in cohort), reverse=True)[:top_n]
            parts.append((score - np.mean(highest)) / np.std(highest))
        values.append(np.mean(parts))
    return values


@pytest.mark.parametrize(("top_n", "side"), [(20, "both"), (20, "enrol"), (2, "test"), (90, "both"), (300, "both")])
def test_scores_equal_as_norm_written_out(drawn, monkeypatch, top_n, side):
    monkeypatch.setattr(asnorm, "_BLOCK", 700)  # seven utterances at once, the last block smaller
    matrix, cohort, trials = drawn
    scores = normalise(cosine_scores(trials, matrix), trials, cohort_scores(matrix, cohort, top_n), side)
    assert scores == pytest.approx(written_out(matrix, cohort, trials, top_n, side), abs=2e-4, rel=1e-4)


def test_as_norm_worked_by_hand():
    # Cosines of a with the cohort 1, 0, -1: the two highest have mean and deviation 1/2; those of b are 0.8, 0.6, -0.8.
    matrix = np.array([[1, 0], [0.8, 0.6]], np.float32)
    cohort = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    trials = Trials(["a", "b"], np.array([0]), np.array([1]), np.array([True]), 0)
    scores = cosine_scores(trials, matrix)
    highest = cohort_scores(matrix, cohort, 2)
    assert highest.mean == pytest.approx([0.5, 0.7]) and highest.deviation == pytest.approx([0.5, 0.1])
    values = {side: normalise(scores, trials, highest, side)[0] for side in ("both", "enrol", "test")}
    assert values == pytest.approx({"enrol": 0.6, "test": 1.0, "both": 0.8}, abs=1e-5)


def test_a_cohort_of_one_direction_is_refused(drawn):
    matrix, cohort, trials = drawn
    highest = cohort_scores(matrix, np.repeat(cohort[:1], 5, axis=0), 3)
    with pytest.raises(SertkError, match=r"u\d+: its scores with the cohort are all equal"):
        normalise(np.zeros(500), trials, highest)


def test_speaker_means_are_those_of_the_vectors():
    table = [("a1", np.array([1.0, 2.0])), ("b1", np.array([5.0, 5.0])), ("a2", np.array([3.0, 0.0]))]
    means = speaker_means(table, {"a1": "a", "a2": "a", "b1": "b"}, "c")
    assert {speaker: mean.tolist() for speaker, mean in means.items()} == {"a": [2, 1], "b": [5, 5]}
    assert list(speaker_means(table, None, "c")) == ["a1", "b1", "a2"]
    with pytest.raises(SertkError, match="c: b1 of the cohort is not in its utt2spk"):
        speaker_means(table, {"a1": "a", "a2": "a"}, "c")
    with pytest.raises(SertkError, match="c: a2 has 1 dimensions, those before it 2"):
        speaker_means([table[0], ("a2", np.array([1.0]))], {"a1": "a", "a2": "a"}, "c")
