"""EER, detection costs and Cllr against searches, scikit-learn and values worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss, roc_curve

from sertk.scoring.speaker import act_dcf, cllr, eer, error_rates, min_cllr, min_dcf

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


@settings(max_examples=300)
@given(scores, scores, st.sampled_from([0.001, 0.01, 0.05, 0.5, 0.9]))
def test_min_dcf_equals_a_search_over_all_thresholds(targets, nontargets, p_target):
    cost = min(p_target * miss + (1 - p_target) * fa for miss, fa in brute_force_rates(targets, nontargets))
    assert min_dcf(targets, nontargets, p_target) == pytest.approx(cost / min(p_target, 1 - p_target), abs=1e-9)


@settings(max_examples=300)
@given(scores, scores)
def test_error_rates_equal_counting_at_every_threshold(targets, nontargets):
    expected = list(brute_force_rates(targets, nontargets))
    rates = list(zip(*error_rates(targets, nontargets), strict=True))
    assert rates == [pytest.approx(pair, abs=1e-12) for pair in expected]
    value = eer(targets, nontargets)
    # The crossing is never better than the best, nor worse than the worst, of the two thresholds around it.
    assert max(min(m, f) for m, f in expected) - 1e-12 <= value <= min(max(m, f) for m, f in expected) + 1e-12


@settings(max_examples=100)
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


@settings(max_examples=100)
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


def test_cllr_worked_by_hand():
    # Ratios of 3 and 1/3: log2(1 + 1/3) each, that of a wrong one is log2(1 + 3) = 2.
    right = np.log2(4 / 3)
    assert cllr([np.log(3)], [-np.log(3)]) == pytest.approx(right)
    assert cllr([np.log(3), -np.log(3)], [-np.log(3)]) == pytest.approx(((right + 2) / 2 + right) / 2)
    assert cllr([0.0, 0.0], [0.0]) == 1
    assert cllr([800.0], [-800.0]) == 0 and cllr([-800.0], [800.0]) == pytest.approx(800 / np.log(2))


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60))
def test_cllr_is_scikit_learns_balanced_log_loss(seed, num_targets, num_nontargets):
    rng = np.random.default_rng(seed)
    llrs = rng.normal(0, 3, num_targets + num_nontargets)
    truth = np.arange(len(llrs)) < num_targets
    share = np.where(truth, 0.5 / num_targets, 0.5 / num_nontargets)
    expected = log_loss(truth, 1 / (1 + np.exp(-llrs)), sample_weight=share, labels=[False, True]) / np.log(2)
    assert cllr(llrs[truth], llrs[~truth]) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100)
@given(scores, scores)
def test_min_cllr_is_that_of_scikit_learns_isotonic_map(targets, nontargets):
    """With ties; and neither a rising map changes it, nor any is better."""
    values, truth = np.r_[targets, nontargets], np.arange(len(targets) + len(nontargets)) < len(targets)
    share = np.where(truth, 0.5 / len(targets), 0.5 / len(nontargets))
    posterior = IsotonicRegression().fit(values, truth, sample_weight=share).predict(values)
    right = np.where(truth, posterior, 1 - posterior)
    value = min_cllr(np.array(targets), np.array(nontargets))
    assert value == pytest.approx(-(share * np.log2(right)).sum(), abs=1e-9)
    assert min_cllr(np.exp(targets), np.exp(nontargets)) == pytest.approx(value, abs=1e-12)
    assert value <= min(1, cllr(targets, nontargets)) + 1e-12


def test_act_dcf_counts_errors_at_bayes_threshold():
    # At p 0.01 the threshold is log(99) = 4.595: one of four targets below, one of ten nontargets above.
    targets, nontargets = [5.0, 6.0, 7.0, 4.5], [4.6] + [-1.0] * 9
    assert act_dcf(targets, nontargets, 0.01) == pytest.approx(0.25 + 99 * 0.1)
    assert act_dcf(targets, nontargets, 0.5) == pytest.approx(0.1)
    assert act_dcf([800.0], [-800.0], 0.01) == 0
