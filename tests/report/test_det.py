"""DET curves: the points of all thresholds, thinned, and what is drawn of them."""

import numpy as np
import pytest
from scipy.special import ndtri
from sklearn.metrics import det_curve as reference

from sertk.report.det import _limits, det_curve, det_figure


def gaussian(number=20_000, shift=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, number), rng.normal(0, 1, number)


def test_points_are_those_of_scikit_learn():
    targets, nontargets = gaussian(400)
    curve = det_curve(targets, nontargets)
    truth = np.r_[np.ones(400), np.zeros(400)]
    points = set(zip(*(np.round(rates, 9) for rates in reference(truth, np.r_[targets, nontargets])[:2])))
    assert len(curve.miss) > 20
    assert set(zip(np.round(curve.false_alarm, 9), np.round(curve.miss, 9))) <= points


def test_gaussian_scores_are_a_straight_line():
    """Targets N(3, 1) and nontargets N(0, 1): the deviates of the error rates add up to -3."""
    curve = det_curve(*gaussian())
    assert (ndtri(curve.miss) + ndtri(curve.false_alarm))[curve.certain] == pytest.approx(-3, abs=0.12)
    assert len(curve.miss) < 4000  # of 40,000


def test_few_errors_are_uncertain():
    curve = det_curve(*gaussian(1000))
    assert (curve.miss[curve.certain] >= 0.03).all() and (curve.false_alarm[curve.certain] >= 0.03).all()
    assert 0 < curve.certain.sum() < len(curve.certain)


def test_the_axes_hold_what_is_certain():
    low, high = _limits([det_curve(*gaussian(1000))])
    assert low == pytest.approx(0.015, abs=0.002) and high == 0.6
    assert _limits([det_curve(np.array([1.0, 2]), np.array([0.0, -1]))]) == (0.001, 0.6)  # no errors at all


def test_the_figure_names_systems_stamps_and_numbers():
    picture = det_figure({"plain $x$": gaussian(), "_norm": gaussian(shift=4.0)}, ["SIMULATED"])
    assert "plain $x$, EER 6." in picture.alt and "_norm, EER 2." in picture.alt
    for word in ("plain $x$", "_norm", "SIMULATED", "false alarms [%]"):
        assert word in picture.svg
    assert [row[0] for row in picture.table.rows] == ["plain $x$", "_norm"]
    assert float(picture.table.rows[0][2]) == pytest.approx(100 * 0.2505, abs=3)  # Phi(2.326 - 3) at 1 %
