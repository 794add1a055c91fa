"""Calibration against scipy's minimiser of the loss written out, scikit-learn, and distributions with known ratios."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from sertk.scoring.llr import features_of, fit_calibration
from sertk.scoring.speaker import cllr, min_cllr


def drawn(seed=0, number=600):
    """Scores that are worth less with a lower quality; targets are rare."""
    rng = np.random.default_rng(seed)
    target = rng.random(number) < 0.2
    quality = rng.normal(3, 0.5, number)
    scores = rng.normal(0, 1, number) + 1.5 * target + 0.4 * quality
    return np.column_stack([scores, quality]), target


@pytest.mark.parametrize("penalty", [1e-4, 0.1])
def test_weights_minimise_the_loss_written_out(penalty):
    features, target = drawn()
    centre, scale = features.mean(axis=0), features.std(axis=0)

    def loss(weights):
        z = (features - centre) / scale @ weights[1:] + weights[0]
        of_targets, of_nontargets = np.log1p(np.exp(-z[target])).mean(), np.log1p(np.exp(z[~target])).mean()
        return (of_targets + of_nontargets) / 2 + penalty / 2 * (weights[1:] ** 2).sum()

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    fit = fit_calibration(features, target, penalty)
    assert fit.weights == pytest.approx(best[1:] / scale, rel=1e-4)
    assert fit.offset == pytest.approx(best[0] - (best[1:] / scale * centre).sum(), rel=1e-4)


def test_without_penalty_it_is_scikit_learns_logistic_regression():
    features, target = drawn(1)
    reference = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-10).fit(features, target)
    fit = fit_calibration(features, target, 0)
    assert fit(features) == pytest.approx(reference.decision_function(features), abs=1e-4)


def test_gaussian_scores_get_their_log_likelihood_ratios():
    """Targets N(2, 1) and nontargets N(0, 1): the ratio of a score s is 2 s - 2."""
    rng = np.random.default_rng(0)
    target = np.arange(200_000) < 50_000
    scores = rng.normal(0, 1, 200_000) + 2 * target
    fit = fit_calibration(scores[:, None], target)
    assert fit.weights == pytest.approx([2], abs=0.04) and fit.offset == pytest.approx(-2, abs=0.04)
    llrs = fit(scores[:, None])
    assert cllr(llrs[target], llrs[~target]) == pytest.approx(min_cllr(scores[target], scores[~target]), abs=2e-3)


def test_separable_trials_have_finite_ratios():
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    fit = fit_calibration(scores[:, None], scores > 0.5)
    llrs = fit(scores[:, None])
    assert np.isfinite(llrs).all() and (llrs[:2] < -2).all() and (llrs[2:] > 2).all()


def test_a_constant_quality_changes_nothing():
    features, target = drawn(2)
    constant = np.column_stack([features[:, 0], np.full(len(target), 7.0)])
    assert fit_calibration(constant, target)(constant) == pytest.approx(
        fit_calibration(features[:, :1], target)(features[:, :1]), abs=1e-8
    )


def test_features_are_the_lower_and_the_higher_of_both_sides():
    features = features_of(np.array([0.5, 0.6]), np.array([0, 1]), np.array([1, 2]), [np.array([3.0, 1.0, 2.0])])
    assert features.tolist() == [[0.5, 1, 3], [0.6, 1, 2]]
