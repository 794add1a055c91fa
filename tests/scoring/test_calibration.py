"""Calibration against scikit-learn, scipy and values worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss as sklearn_log_loss

from sertk.scoring.calibration import (
    brier_score,
    calibration_error,
    calibration_floor,
    corrected_error,
    coverage_curve,
    fit_temperature,
    log_loss,
    reliability,
    temperatures,
    tempered,
)


def drawn(seed, num=400, classes=4, sharpness=1.0):
    """Posteriors whose logits are `sharpness` times those that the truth is drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (num, classes))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (honest.cumsum(axis=1) < rng.random((num, 1))).sum(axis=1).clip(max=classes - 1)
    sharp = np.exp(sharpness * logits)
    return sharp / sharp.sum(axis=1, keepdims=True), truth


def test_reliability_equals_scikit_learns_calibration_curve():
    posteriors, truth = drawn(0)
    bins = [b for b in reliability(posteriors, truth, bins=10) if b.segments]
    right = posteriors.argmax(axis=1) == truth
    accuracy, confidence = calibration_curve(right, posteriors.max(axis=1), n_bins=10)
    assert [b.accuracy for b in bins] == pytest.approx(accuracy)
    assert [b.confidence for b in bins] == pytest.approx(confidence)
    assert sum(b.segments for b in bins) == len(truth)


def test_only_certain_and_right_is_calibrated():
    certain = np.eye(2)[[0, 1, 0]]
    assert calibration_error(reliability(certain, np.array([0, 1, 0]))) == 0
    assert calibration_error(reliability(certain, np.array([1, 0, 1]))) == 1


def test_log_loss_equals_scikit_learn():
    posteriors, truth = drawn(1)
    assert log_loss(posteriors, truth) == pytest.approx(sklearn_log_loss(truth, posteriors, labels=range(4)))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_equals_scipys_minimum_of_the_loss(sharpness):
    posteriors, truth = drawn(2, num=2000, sharpness=sharpness)
    reference = minimize_scalar(
        lambda t: log_loss(tempered(posteriors, t), truth), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}
    )
    assert fit_temperature(posteriors, truth) == pytest.approx(reference.x, rel=1e-4)
    assert fit_temperature(posteriors, truth) == pytest.approx(sharpness, rel=0.15)


def test_a_temperature_keeps_every_decision():
    posteriors, _ = drawn(3)
    for temperature in (0.3, 1.0, 7.0):
        assert (tempered(posteriors, temperature).argmax(axis=1) == posteriors.argmax(axis=1)).all()
    assert tempered(posteriors, 1.0) == pytest.approx(posteriors)


def test_a_folds_own_labels_do_not_move_its_temperature():
    posteriors, truth = drawn(4)
    fold = np.arange(400) % 4 + 1
    before = temperatures(posteriors, truth, fold)
    truth[fold == 2] = (truth[fold == 2] + 1) % 4
    after = temperatures(posteriors, truth, fold)
    assert after[2] == before[2]
    assert all(after[n] != before[n] for n in (1, 3, 4))


def test_tempering_lowers_the_error_of_an_overconfident_model():
    posteriors, truth = drawn(5, num=2000, sharpness=3.0)
    fold = np.arange(2000) % 5
    fitted = temperatures(posteriors, truth, fold)
    column = np.array([fitted[n] for n in fold])[:, None]
    before, after = (calibration_error(reliability(p, truth)) for p in (posteriors, tempered(posteriors, column)))
    assert after < before / 3


def test_posteriors_of_nought_have_a_finite_loss():
    posteriors = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert np.isfinite(log_loss(posteriors, np.array([0, 1])))
    assert 0.01 <= fit_temperature(posteriors, np.array([0, 1])) <= 100


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(2, 60), st.floats(0.01, 10))
def test_tempered_posteriors_stay_posteriors(seed, num, temperature):
    posteriors, _ = drawn(seed, num=num)
    found = tempered(posteriors, temperature)
    assert (found >= 0).all() and found.sum(axis=1) == pytest.approx(np.ones(num))


def test_coverage_worked_by_hand():
    posteriors = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    curve = coverage_curve(posteriors, np.array([0, 1, 1, 1]), parts=4)
    assert [(point.coverage, point.wa) for point in curve] == [(0.25, 1), (0.5, 0.5), (0.75, 2 / 3), (1, 0.5)]


def test_tied_segments_are_answered_together():
    curve = coverage_curve(np.full((4, 2), 0.5), np.array([0, 1, 0, 1]), parts=4)
    assert [(point.coverage, point.wa) for point in curve] == [(1, 0.5)] * 4


def calibrated(rng, number, classes=4):
    """Posteriors, and labels drawn from them."""
    posteriors = rng.dirichlet(np.full(classes, 0.5), number)
    return posteriors, (rng.random((number, 1)) > posteriors.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)


def test_the_floor_is_what_perfectly_calibrated_posteriors_have():
    rng = np.random.default_rng(0)
    errors = [calibration_error(reliability(*calibrated(rng, 339))) for _ in range(200)]
    floors = [calibration_floor(calibrated(rng, 339)[0], draws=300) for _ in range(10)]
    assert np.mean([floor.mean for floor in floors]) == pytest.approx(np.mean(errors), abs=0.004)
    assert np.mean([floor.high for floor in floors]) == pytest.approx(np.quantile(errors, 0.95), abs=0.008)
    assert calibration_floor(np.array([[1.0, 0.0]] * 9)).mean == 0


def test_the_floor_shrinks_with_the_root_of_the_segments():
    rng = np.random.default_rng(1)
    posteriors = rng.dirichlet(np.full(4, 0.5), 400)
    few, many = calibration_floor(posteriors), calibration_floor(np.tile(posteriors, (16, 1)))
    assert many.mean == pytest.approx(few.mean / 4, rel=0.06)
    assert few == calibration_floor(posteriors)


def test_the_corrected_error_is_near_the_true_one():
    """Posteriors that are 0.03 too sure of 300 segments: the plug-in error is too high, the corrected one less so."""
    rng = np.random.default_rng(2)
    plain, corrected = [], []
    for _ in range(150):
        sure = rng.uniform(0.75, 1, 300)
        posteriors = np.stack([sure, 1 - sure], axis=1)
        bins = reliability(posteriors, (rng.random(300) > sure - 0.03).astype(int))
        plain.append(calibration_error(bins))
        corrected.append(corrected_error(bins))
    assert np.mean(plain) > 0.036 and abs(np.mean(corrected) - 0.03) < (np.mean(plain) - 0.03) / 2


def test_the_correction_of_one_bin_is_the_folded_normals():
    """Accuracy 0.8 of 100, confidence 0.8: the expected |x| is 0.04 sqrt(2 / pi), more than the gap: 0 is left."""
    sure = np.full(100, 0.8)
    truth = (np.arange(100) >= 80).astype(int)
    assert corrected_error(reliability(np.stack([sure, 1 - sure], axis=1), truth)) == 0
    sure = np.full(100, 0.9)
    gap, deviation = 0.1, 0.04
    folded = stats.foldnorm.mean(gap / deviation, scale=deviation)
    found = corrected_error(reliability(np.stack([sure, 1 - sure], axis=1), truth))
    assert found == pytest.approx(2 * gap - folded, abs=1e-9)


def test_brier_score_is_scikit_learns():
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(3)
    posteriors, truth = calibrated(rng, 200, classes=2)
    # scikit-learn's of two classes counts one of them.
    assert brier_score(posteriors, truth) == pytest.approx(2 * brier_score_loss(truth, posteriors[:, 1]))
