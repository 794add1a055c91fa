"""Weights of a fusion by maximum likelihood."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from sertk.scoring.stacking import LEAST, MOST, fit_pool

RNG = np.random.default_rng(0)


def drawn(logits):
    """Labels drawn from softmax(logits)."""
    return (RNG.random((len(logits), 1)) > softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)


def test_the_factors_that_made_the_labels_are_found():
    logs = log_softmax(RNG.normal(0, 2, (3, 20000, 4)), axis=2)
    pool = fit_pool(logs, drawn(np.tensordot([0.9, 0.3, 0.0], logs, axes=1)))
    assert pool.weights == pytest.approx([0.75, 0.25, 0], abs=0.02) and sum(pool.weights) == pytest.approx(1)
    assert pool.temperature == pytest.approx(1 / 1.2, abs=0.03)
    assert pool.factors == pytest.approx([0.9, 0.3, 0], abs=0.03)


def test_two_classes_are_logistic_regression():
    """Of the systems' log odds, without penalty and intercept, where no factor is negative."""
    logs = log_softmax(RNG.normal(0, 1, (2, 400, 2)), axis=2)
    truth = drawn(0.8 * logs[0] + 0.5 * logs[1])
    odds = (logs[:, :, 1] - logs[:, :, 0]).T
    expected = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8).fit(odds, truth).coef_[0]
    assert expected.min() > 0 and fit_pool(logs, truth).factors == pytest.approx(expected, abs=1e-4)


def test_a_system_that_is_worse_than_chance_has_no_weight():
    good = log_softmax(RNG.normal(0, 1, (300, 3)), axis=1)
    assert fit_pool(np.stack([good, -good]), drawn(2 * good)).weights[1] < 1e-4


@pytest.mark.parametrize(("sign", "factor"), [(1, MOST), (-1, LEAST)])
def test_factors_are_finite_without_errors_or_without_use(sign, factor):
    truth = np.array([0, 1, 2] * 5)
    logs = sign * log_softmax(np.eye(3)[truth], axis=1)
    pool = fit_pool(np.stack([logs, logs]), truth)
    assert pool.weights == pytest.approx([0.5, 0.5]) and pool.factors.sum() <= 2 * MOST
    assert sign > 0 or pool.factors == pytest.approx([factor, factor])
