"""EER and minDCF against a search over all thresholds, scikit-learn's ROC and values worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from sertk.scoring.speaker import eer, eer_interval, error_rates, min_dcf

# Whole numbers make ties common.
scores = st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=40)


def brute_force_rates(targets, nontargets):
    """P_miss and P_fa by counting at every threshold there can be."""
    distinct = sorted({*targets, *nontargets})
    for threshold in [*distinct, distinct[-1] + 1]:
        yield (
            sum(s < threshold for s in targets) / len(targets),
            sum(s >= threshold for s in nontargets) / len(nontargets),
        )


@settings(max_examples=300, deadline=None)
@given(scores, scores, st.sampled_from([0.001, 0.01, 0.05, 0.5, 0.9]))
def test_min_dcf_equals_a_search_over_all_thresholds(targets, nontargets, p_target):
    cost = min(p_target * miss + (1 - p_target) * fa for miss, fa in brute_force_rates(targets, nontargets))
    assert min_dcf(targets, nontargets, p_target) == pytest.approx(cost / min(p_target, 1 - p_target), abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(scores, scores)
def test_error_rates_equal_counting_at_every_threshold(targets, nontargets):
    expected = list(brute_force_rates(targets, nontargets))
    rates = list(zip(*error_rates(targets, nontargets), strict=True))
    assert rates == [pytest.approx(pair, abs=1e-12) for pair in expected]
    value = eer(targets, nontargets)
    # The crossing is never better than the best, nor worse than the worst, of the two thresholds around it.
    assert max(min(m, f) for m, f in expected) - 1e-12 <= value <= min(max(m, f) for m, f in expected) + 1e-12


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 300), st.integers(2, 300), st.floats(-1, 3))
def test_eer_equals_the_interpolated_roc_of_scikit_learn(seed, num_targets, num_nontargets, shift):
    rng = np.random.default_rng(seed)
    targets, nontargets = rng.normal(shift, 1, num_targets), rng.normal(0, 1, num_nontargets)
    truth = np.r_[np.ones(num_targets), np.zeros(num_nontargets)]
    fa, hit, _ = roc_curve(truth, np.r_[targets, nontargets], drop_intermediate=False)
    # An ROC is a staircase: along its length (not along fa, which repeats) hit and fa are functions.
    along = np.arange(len(fa))
    crossing = brentq(lambda at: interp1d(along, 1 - hit - fa)(at), 0, len(fa) - 1)
    assert eer(targets, nontargets) == pytest.approx(float(interp1d(along, fa)(crossing)), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(scores, scores)
def test_a_rising_map_of_the_scores_changes_nothing(targets, nontargets):
    mapped = [np.exp(np.array(values) / 3) for values in (targets, nontargets)]
    assert eer(*mapped) == pytest.approx(eer(targets, nontargets), abs=1e-12)
    assert min_dcf(*mapped, 0.01) == pytest.approx(min_dcf(targets, nontargets, 0.01), abs=1e-12)


def test_gaussian_scores_give_the_known_eer():
    # Targets N(2, 1), nontargets N(0, 1): the error rates are equal at 1, Phi(-1) = 0.158655.
    rng = np.random.default_rng(0)
    assert eer(rng.normal(2, 1, 400_000), rng.normal(0, 1, 400_000)) == pytest.approx(0.158655, abs=2e-3)


def test_separable_scores_cost_0_and_reversed_ones_1():
    assert eer([2.0, 3.0], [0.0, 1.0]) == 0
    assert min_dcf([2.0, 3.0], [0.0, 1.0], 0.01) == 0
    assert eer([0.0, 1.0], [2.0, 3.0]) == 1
    assert min_dcf([0.0, 1.0], [2.0, 3.0], 0.01) == 1  # refusing everything


def test_one_constant_answer_is_chance():
    assert eer([1.0] * 5, [1.0] * 7) == 0.5
    assert min_dcf([1.0] * 5, [1.0] * 7, 0.05) == 1


def test_min_dcf_worked_by_hand():
    # Threshold 2: one of four targets missed, none of ten nontargets accepted: 0.01 * 0.25 / 0.01.
    assert min_dcf([4, 3, 2, 1], [1.5] + [0] * 9, 0.01) == pytest.approx(0.25)
    # Threshold 1 at p 0.5: nothing missed, one of ten accepted: 0.5 * 0.1 / 0.5.
    assert min_dcf([4, 3, 2, 1], [1.5] + [0] * 9, 0.5) == pytest.approx(0.1)


@pytest.mark.parametrize(("targets", "nontargets"), [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])])
def test_what_has_no_error_rate_is_refused(targets, nontargets):
    with pytest.raises(ValueError, match="score"):
        eer(targets, nontargets)


def test_eer_intervals_leave_out_each_speaker_with_all_trials():
    """Against leaving them out one by one, and Student's t on Wilson's scale by hand; scores with ties.

    Each speaker's targets lie elsewhere, so that the interval is wider than that of independent trials.
    """
    rng = np.random.default_rng(0)
    first = rng.integers(0, 8, 600)
    second = np.where(rng.random(600) < 0.4, first, rng.integers(0, 8, 600))
    target = first == second
    scores = np.round(rng.normal(size=600) + (0.5 + 0.6 * first) * target, 1)
    whole, left = eer(scores[target], scores[~target]), []
    for speaker in range(8):
        kept = (first != speaker) & (second != speaker)
        left.append(eer(scores[kept & target], scores[kept & ~target]))
    variance = 7 / 8 * ((np.array(left) - whole) ** 2).sum()
    weight = 2.364624**2 * variance / (whole * (1 - whole))
    half = np.sqrt(weight * whole * (1 - whole) + weight**2 / 4)
    wanted = [(whole + weight / 2 - half) / (1 + weight), (whole + weight / 2 + half) / (1 + weight)]
    assert eer_interval(scores, target, first, second) == pytest.approx(wanted, abs=1e-6)


def test_an_eer_of_0_has_an_interval_and_one_speaker_has_none():
    first, second = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 1, 2, 0])
    target = first == second
    low, high = eer_interval(target * 1.0, target, first, second)
    assert low == 0 and high == pytest.approx(1.96**2 / (3 + 1.96**2), abs=1e-3)  # Wilson's of 0 of 3
    assert eer_interval(np.array([1.0, 0.0]), np.array([True, False]), np.zeros(2), np.zeros(2)) is None
    # Of one of two speakers are all targets: without him none is left.
    assert eer_interval(target[:4] * 1.0, target[:4] & (first[:4] == 0), first[:4], second[:4]) is None
