"""Gaps between groups of speakers: values worked by hand, scipy's permutation test, no gap and a planted gap."""

import numpy as np
import pytest
from scipy.stats import kstest, permutation_test

from sertk.scoring.fairness import gaps


def ten_speakers(right):
    """One segment of class a and one of b for each of ten speakers, the first five of them women; right: (10, 2) bool."""
    speakers = [f"s{n}" for n in range(10) for _ in "ab"]
    truth = np.array([0, 1] * 10)
    guess = np.where(np.asarray(right).ravel(), truth, 1 - truth)
    return truth, guess, speakers, {"gender": ["female"] * 10 + ["male"] * 10}


def test_gap_worked_by_hand():
    """Women: all right; men: none of b. UA 1 and 0.5; only 2 of the 252 assignments have this gap."""
    found = gaps(*ten_speakers([[1, 1]] * 5 + [[1, 0]] * 5), "ab")["gender"]
    assert (found["ua"]["gap"], found["ua"]["high"], found["ua"]["low"]) == (0.5, "female", "male")
    assert (found["recall"]["gap"], found["recall"]["label"]) == (1.0, "b")
    assert found["least_p"] == 2 / 252
    assert found["ua"]["p"] == pytest.approx(2 / 252, abs=0.003) == found["recall"]["p"]
    assert found["ua"]["holm"] == 2 * found["ua"]["p"]
    assert found["speakers"] == {"female": 5, "male": 5} and found["left_out"] == {}


def test_p_is_that_of_scipys_exact_permutation_test():
    right = np.random.default_rng(3).random((10, 2)) < np.repeat([[0.9], [0.5]], 5, axis=0)
    each = right.mean(axis=1)

    def gap(one, other, axis):
        return np.abs(one.mean(axis=axis) - other.mean(axis=axis))

    exact = permutation_test((each[:5], each[5:]), gap, vectorized=True, n_resamples=np.inf, alternative="greater")
    found = gaps(*ten_speakers(right), "ab")["gender"]["ua"]
    assert found["gap"] == pytest.approx(exact.statistic)
    assert found["p"] == pytest.approx(exact.pvalue, abs=0.015)
    assert found == gaps(*ten_speakers(right), "ab")["gender"]["ua"]


def test_runs_are_averaged():
    truth, guess, speakers, groups = ten_speakers([[1, 1]] * 5 + [[1, 0]] * 5)
    found = gaps(truth, np.stack([guess, truth]), speakers, groups, "ab", draws=99)["gender"]
    assert (found["ua"]["gap"], found["recall"]["gap"]) == (0.25, 0.5)


def test_groups_of_few_speakers_are_left_out():
    truth, guess, speakers, _ = ten_speakers([[1, 1]] * 10)
    groups = {
        "race": ["x"] * 12 + ["y"] * 8,  # four speakers of y
        "dialog": ["impro", "script"] * 10,  # not a property of the speaker
        "age": ["20-30"] * 10 + ["31-40"] * 10,
    }
    assert list(gaps(truth, guess, speakers, groups, "ab", draws=9)) == ["age"]
    more = [f"s{n}" for n in range(11) for _ in "ab"]
    found = gaps(
        np.array([0, 1] * 11), np.array([0, 1] * 11), more, {"race": ["x"] * 10 + ["y"] * 10 + ["z"] * 2}, "ab"
    )
    assert found["race"]["left_out"] == {"z": 1} and found["race"]["speakers"] == {"x": 5, "y": 5}
    assert found["race"]["ua"]["p"] == 1.0


def test_a_class_that_a_group_lacks_is_not_compared():
    truth, guess, speakers, groups = ten_speakers([[1, 1]] * 5 + [[1, 0]] * 5)
    keep = (truth == 0) | (np.arange(20) < 10)
    found = gaps(
        truth[keep], guess[keep], np.array(speakers)[keep], {"gender": np.array(groups["gender"])[keep]}, "abc"
    )
    assert found["gender"]["recall"]["gap"] == 0 and found["gender"]["recall"]["p"] == 1.0


def simulated(rng, loss):
    """Recall of 24 speakers, 8 of each of three groups, around 0.7, lower by `loss` in the third group."""
    chance = np.clip(0.7 + 0.1 * rng.standard_normal(24) - loss * (np.arange(24) >= 16), 0, 1)
    speakers = np.repeat(np.arange(24), rng.integers(20, 40, 24))  # of different sizes, so that few gaps are equal
    truth = rng.integers(0, 3, len(speakers))
    guess = np.where(rng.random(len(truth)) < chance[speakers], truth, (truth + 1) % 3)
    group = gaps(
        truth,
        guess,
        speakers,
        {"age": np.array(["1", "2", "3"])[speakers // 8]},
        "abc",
        draws=199,
        seed=int(rng.integers(2**31)),
    )["age"]
    return group["ua"]["p"], group["recall"]["p"]


def test_p_is_uniform_without_a_gap_and_small_with_one():
    rng = np.random.default_rng(5)
    none = np.array([simulated(rng, 0.0) for _ in range(300)])
    for p in none.T:
        assert kstest(p, "uniform").pvalue > 0.01
        assert 0.02 <= (p <= 0.05).mean() <= 0.09
    planted = np.array([simulated(rng, 0.3) for _ in range(40)])
    assert (planted <= 0.05).mean() >= 0.9
