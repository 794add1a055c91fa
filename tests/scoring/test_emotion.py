"""WA, UA and confusion against scikit-learn and values worked by hand."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from sertk.scoring.emotion import (
    Accuracy,
    confusion,
    measures,
    recalls,
    row_normalised,
    score_folds,
    unweighted_accuracy,
    weighted_accuracy,
)

CLASSES = 4
segments = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1), st.integers(1, 5)), min_size=1, max_size=80
)


def columns(rows):
    return (np.array(column) for column in zip(*rows, strict=True))


@settings(max_examples=80)
@given(segments)
def test_accuracies_and_confusion_equal_scikit_learn(rows):
    truth, guess, _ = columns(rows)
    counts = confusion(truth, guess, CLASSES)
    assert (counts == metrics.confusion_matrix(truth, guess, labels=range(CLASSES))).all()
    assert weighted_accuracy(counts) == pytest.approx(metrics.accuracy_score(truth, guess), abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that is recognised and not in the truth
        expected = metrics.balanced_accuracy_score(truth, guess)
    assert unweighted_accuracy(counts) == pytest.approx(expected, abs=1e-12)
    there = np.unique(truth)
    expected = metrics.recall_score(truth, guess, labels=there, average=None, zero_division=0)
    assert recalls(counts)[there] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100)
@given(segments)
def test_folds_sum_to_the_pooled_confusion_and_means_are_plain(rows):
    truth, guess, fold = columns(rows)
    scores = score_folds(truth, guess, fold, CLASSES)
    assert (scores.pooled_counts == confusion(truth, guess, CLASSES)).all()
    assert list(scores.folds) == sorted(set(fold.tolist()))
    was = [metrics.accuracy_score(truth[fold == n], guess[fold == n]) for n in scores.folds]
    assert scores.mean()[0] == pytest.approx(np.mean(was), abs=1e-12)
    if len(was) > 1:
        assert scores.deviation()[0] == pytest.approx(np.std(was, ddof=1), abs=1e-12)


@settings(max_examples=100)
@given(segments, st.permutations(range(CLASSES)))
def test_renaming_the_classes_changes_neither_accuracy(rows, names):
    truth, guess, _ = columns(rows)
    names = np.array(names)
    counts, renamed = confusion(truth, guess, CLASSES), confusion(names[truth], names[guess], CLASSES)
    assert weighted_accuracy(counts) == weighted_accuracy(renamed)
    assert unweighted_accuracy(counts) == pytest.approx(unweighted_accuracy(renamed), abs=1e-12)


def test_balanced_classes_make_both_accuracies_equal():
    counts = np.array([[3, 1], [2, 2]])
    assert weighted_accuracy(counts) == unweighted_accuracy(counts) == 0.625


def test_an_absent_class_is_left_out_of_the_folds_mean_recall():
    # Fold 1 has both classes (recalls 1/2 and 1), fold 2 class 0 alone (recall 1).
    scores = score_folds([0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 2], 2)
    assert [fold.ua for fold in scores.folds.values()] == [0.75, 1.0]
    assert scores.mean()[:2] == (pytest.approx((2 / 3 + 1) / 2), 0.875)
    assert scores.pooled.ua == pytest.approx((2 / 3 + 1) / 2)
    assert math.isnan(scores.folds[2].recalls[1])


def test_rows_of_the_normalised_confusion_sum_to_one():
    rows = row_normalised(np.array([[3, 1, 0], [0, 0, 0], [1, 1, 2]]))
    assert rows[0].tolist() == [0.75, 0.25, 0.0]
    assert np.isnan(rows[1]).all()
    assert rows[2].sum() == 1


def test_a_single_fold_has_no_deviation():
    scores = score_folds([0, 1], [0, 1], [3, 3], 2)
    assert scores.mean() == (1.0, 1.0, 1.0)
    assert all(math.isnan(value) for value in scores.deviation())


def test_macro_f1_and_precision_are_scikit_learns():
    from sklearn.metrics import f1_score, precision_score

    rng = np.random.default_rng(2)
    truth, guess = rng.integers(0, 4, (2, 200))
    found = Accuracy.of(confusion(truth, guess, 4))
    assert found.macro_f1 == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found.precisions == pytest.approx(precision_score(truth, guess, average=None))


def test_all_measures_at_once_are_those_of_each_matrix():
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 30, (6, 3, 3))
    for row, one in zip(measures(counts), counts, strict=True):
        found = Accuracy.of(one)
        assert row == pytest.approx([found.wa, found.ua, found.macro_f1, *found.recalls, *found.precisions])
