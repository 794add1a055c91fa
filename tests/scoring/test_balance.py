"""Groups of speakers with equal numbers of segments and of men and women."""

import itertools

import numpy as np
import pytest

from sertk.scoring.balance import balanced_groups, divide_evenly


def unevenness(shares, group, number):
    return sum((shares[group == n].sum(axis=0) ** 2).sum() for n in range(number))


@pytest.mark.parametrize("seed", range(5))
def test_no_exchange_of_two_rows_is_more_even(seed):
    """Each exchange of two rows is tried and its sum of squares computed from nothing."""
    random = np.random.default_rng(seed)
    shares = random.random((11, 3))
    group = divide_evenly(shares, 3)
    found = unevenness(shares, group, 3)
    for one, other in itertools.combinations(range(11), 2):
        exchanged = group.copy()
        exchanged[[one, other]] = group[[other, one]]
        assert unevenness(shares, exchanged, 3) >= found - 1e-9


def test_small_divisions_are_the_best_there_are():
    """5 4 3 2 2 into two: 8 and 8, by trying all."""
    shares = np.array([[5.0], [4], [3], [2], [2]])
    every = (np.array(group) for group in itertools.product((0, 1), repeat=5))
    assert unevenness(shares, divide_evenly(shares, 2), 2) == min(unevenness(shares, group, 2) for group in every)


def test_no_group_is_empty():
    shares = np.array([[1.0], [0], [0], [0]])
    assert sorted(divide_evenly(shares, 4).tolist()) == [0, 1, 2, 3]


def test_men_and_women_are_spread_over_the_groups():
    """Four men and four women with uneven classes in four groups: a man and a woman in each."""
    speakers = [f"{gender}{n}" for gender in "fm" for n in range(4)]
    counts = {speaker: (3 + n % 3, 2 + n % 4) for n, speaker in enumerate(speakers)}
    utt2label, speaker_of = {}, {}
    for speaker, numbers in counts.items():
        for label, number in zip(("ang", "neu"), numbers):
            for n in range(number):
                utt2label[f"{speaker}-{label}{n}"], speaker_of[f"{speaker}-{label}{n}"] = label, speaker
    genders = {speaker: speaker[0] for speaker in speakers}
    groups = balanced_groups(utt2label, ["ang", "neu"], speaker_of, genders, 4)
    members = {n: sorted(speaker[0] for speaker, group in groups.items() if group == n) for n in range(1, 5)}
    assert members == {n: ["f", "m"] for n in range(1, 5)}
    assert groups["f0"] == 1  # numbered by their first speakers
    backwards = dict(reversed(utt2label.items()))
    assert balanced_groups(backwards, ["ang", "neu"], speaker_of, genders, 4) == groups
