"""Variance components against values worked by hand and scipy's standard errors."""

import numpy as np
import pytest
from scipy import stats

from sertk.scoring.variance import (
    Runs,
    cluster_counts,
    clustered_variance,
    combined,
    difference_variance,
    effective_runs,
    joined,
)


def test_cluster_counts_are_the_confusion_of_each_cluster():
    truth, guess, cluster = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), ["b", "a", "b", "a"]
    assert cluster_counts(truth, guess, cluster, 2).tolist() == [[[0, 1], [1, 0]], [[1, 0], [0, 1]]]


def test_another_source_of_variance_never_narrows_an_interval():
    """Two speakers: 12.7 errors. With Satterthwaite's degrees for the sum, what the runs add would narrow that."""
    units = np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0])
    found = combined(np.zeros(3), units, [(np.array([1.0, 9.0, 900.0]), 9)])
    # (1 + 900)² / (1 + 900² / 9) = 9.02 degrees of freedom.
    assert found.variances.tolist() == [1, 1, 901] and found.freedom == pytest.approx([1, 1, 9.02], abs=0.01)


def test_no_variance_has_the_degrees_of_the_units():
    found = combined(np.zeros(1), (np.zeros(1), np.array([4.0])), [(np.zeros(1), 1)])
    assert (found.variances[0], found.freedom[0]) == (0, 4)


def test_the_variance_of_runs_is_the_anovas():
    """Two runs, two units, by hand: run means 1 and 2, variance 0.5 / 2 = 0.25; interaction 4 · 0.25² / 4 = 0.0625."""
    runs = Runs(np.array([[1.0], [2.0]]), np.array([[[0.0], [1.0]], [[0.5], [0.5]]]))
    assert runs.beyond_units() == pytest.approx(0.25 - 0.0625)


def crossed(accuracies: np.ndarray, segments: int = 100):
    """Segments of one class with these accuracies of (speakers, folds): truth, guess, speaker, fold."""
    speakers, folds = accuracies.shape
    speaker, fold, number = (each.ravel() for each in np.indices((speakers, folds, segments)))
    return np.zeros(len(number), dtype=int), (number >= segments * accuracies[speaker, fold]) * 1, speaker, fold


def test_folds_across_speakers_are_two_way_clusters():
    """Cameron, Gelbach and Miller's variance of a mean: that of the speakers' and of the folds' means less the cells'."""
    table = np.array([[0.5, 0.6, 0.9], [0.4, 0.6, 0.7], [0.6, 0.8, 0.9], [0.3, 0.5, 0.8]])
    truth, guess, speaker, fold = crossed(table)
    found = clustered_variance(truth, guess[None], speaker, 2, fold)
    parts = (stats.sem(each) ** 2 for each in (table.mean(axis=1), table.mean(axis=0), table.ravel()))
    speakers, folds, cells = parts
    assert found.variances[0] == pytest.approx(speakers + folds - cells) and found.freedom[0] == 2


def test_folds_that_do_not_differ_add_nothing():
    truth, guess, speaker, fold = crossed(np.array([[0.5, 0.52], [0.7, 0.68], [0.3, 0.3]]))
    found, alone = (clustered_variance(truth, guess[None], speaker, 2, column) for column in (fold, None))
    assert found.variances[0] == pytest.approx(alone.variances[0]) and found.freedom[0] == 2


def test_difference_of_runs_is_the_anova_of_the_gains():
    """Speakers of one size: the units' part is the variance of the mean gain, to which A's runs add their own."""
    rng = np.random.default_rng(2)
    accuracies = rng.integers(30, 90, (3, 6)) / 100
    other = rng.integers(30, 90, (1, 6)) / 100
    (truth, _, _, speaker), guesses = crossed(accuracies), []
    for one in (accuracies, other):
        number = np.arange(len(truth)).reshape(3, 6, 100)[0].ravel() % 100
        guesses.append(np.stack([(number >= np.round(100 * run)[np.repeat(np.arange(6), 100)]) * 1 for run in one]))
    truth, speaker = truth[:600], speaker[:600] * 0 + np.repeat(np.arange(6), 100)
    found = difference_variance(truth, guesses, speaker, 2)
    gain = accuracies.mean(axis=0) - other[0]
    rest = accuracies - accuracies.mean(axis=0) - accuracies.mean(axis=1, keepdims=True) + accuracies.mean()
    runs = max(0, accuracies.mean(axis=1).var(ddof=1) / 3 - (rest**2).sum() / (2 * 5) / 18)
    assert found.values[0] == pytest.approx(gain.mean())
    assert found.variances[0] == pytest.approx(stats.sem(gain) ** 2 + runs)


def test_units_are_joined_by_the_network_that_scored_them():
    speaker, fold = np.repeat(np.arange(4), 2), np.repeat([0, 1], 4)
    units, crossing = joined(speaker, fold)
    assert units.tolist() == fold.tolist() and crossing is None
    units, crossing = joined(fold, speaker)  # sessions of two folds each
    assert units.tolist() == fold.tolist() and crossing is None
    units, crossing = joined(speaker, np.arange(8) % 2)
    assert units.tolist() == speaker.tolist() and crossing.tolist() == [0, 1] * 4


def test_runs_count_as_often_as_their_errors_are_independent():
    truth, rng = np.repeat([0, 1], 2000), np.random.default_rng(1)
    independent = np.where(rng.random((4, 4000)) < 0.7, truth, 1 - truth)
    assert effective_runs(truth, independent) == pytest.approx(4, abs=0.2)
    assert effective_runs(truth, np.stack([independent[0]] * 4)) == pytest.approx(1)
    assert effective_runs(truth, independent[:1]) == 1 == effective_runs(truth, np.stack([truth, truth]))
