"""Settings to choose from, and the choice."""

import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from sertk.training.grid import Grid, best, scores_of
from sertk.training.settings import HeadSettings


def test_all_combinations_are_tried_and_others_kept():
    points = Grid({"learning_rate": [0.1, 0.01], "epochs": [5, 9]}).points(HeadSettings(seed=3))
    assert [(p.learning_rate, p.epochs) for p in points] == [(0.1, 5), (0.1, 9), (0.01, 5), (0.01, 9)]
    assert {p.seed for p in points} == {3}


def test_scores_are_scikit_learns_pooled_and_by_fold():
    truth = {"1": [0, 0, 0, 1, 2], "2": [1, 1, 2, 2, 2, 0]}
    decided = {"1": [0, 1, 0, 1, 0], "2": [1, 2, 2, 2, 0, 1]}
    scores = scores_of(truth, decided, 3)
    all_truth, all_decided = truth["1"] + truth["2"], decided["1"] + decided["2"]
    assert scores["ua"] == pytest.approx(balanced_accuracy_score(all_truth, all_decided))
    assert scores["wa"] == pytest.approx(accuracy_score(all_truth, all_decided))
    folds = [balanced_accuracy_score(truth[fold], decided[fold]) for fold in "12"]
    assert scores["mean-ua"] == pytest.approx(sum(folds) / 2)


def test_a_failed_setting_is_never_the_best():
    assert best([None, {"wa": 0.1}, None], "wa") == 1 and best([None, None], "wa") is None
