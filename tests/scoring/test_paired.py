"""Paired tests against scipy and values worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sertk.scoring.emotion import confusion, unweighted_accuracy
from sertk.scoring.paired import Difference, compare, exchange_p, holm, mcnemar


@settings(max_examples=200)
@given(st.integers(0, 900), st.integers(0, 900))
def test_mcnemar_equals_scipys_exact_binomial_test(only_a, only_b):
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_mcnemar_worked_by_hand():
    assert mcnemar(0, 5) == 2 / 32
    assert mcnemar(2, 2) == 1.0


def test_holm_worked_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_mcnemar_and_holm_give_what_statsmodels_gives():
    # statsmodels 0.15: contingency_tables.mcnemar([[100, b], [c, 30]], exact=True), multitest.multipletests(…, "holm").
    for only_a, only_b, p in ((12, 25, 0.04703102743951604), (41, 27, 0.11425430684992327), (3, 0, 0.25)):
        assert mcnemar(only_a, only_b) == pytest.approx(p, rel=1e-12)
    assert holm([0.001, 0.012, 0.03, 0.04, 0.6]) == pytest.approx([0.005, 0.048, 0.09, 0.09, 0.6])


def test_exchanging_single_segments_is_mcnemars_test():
    # Of twelve segments A alone recognises five, B alone one: 2 * (1 + 6) / 2^6.
    truth = np.zeros(12, dtype=int)
    a, b = truth.copy(), truth.copy()
    b[:5], a[5] = 1, 1
    found = compare(truth, a, b, [str(n) for n in range(12)], 2)
    assert found.wa.p == found.mcnemar_p == stats.binomtest(1, 6).pvalue == 14 / 64


@settings(max_examples=100)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_raw_and_the_bonferroni_values(p_values):
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw)


def test_exact_exchange_equals_scipys_paired_permutation_test():
    parts = np.array([3.0, -1.0, 4.0, 2.0, 0.0, 5.0, -2.0])
    expected = stats.permutation_test(
        (parts, np.zeros(7)),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert exchange_p(parts[:, None], draws=10, seed=0)[0] == pytest.approx(expected.pvalue)


def test_drawn_exchanges_come_near_the_exact_value():
    rng = np.random.default_rng(0)
    parts = np.round(rng.normal(0.4, 1, 17))[:, None]
    signs = np.array(list(itertools.product([1, -1], repeat=17)), dtype=np.int8)
    exact = (np.abs(signs @ parts[:, 0]) >= abs(parts.sum())).mean()
    assert exchange_p(parts, draws=40_000, seed=1)[0] == pytest.approx(exact, abs=0.01)


def systems(seed, skill_a=0.7, skill_b=0.5, num=240, classes=3):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, num)
    guesses = [np.where(rng.random(num) < skill, truth, rng.integers(0, classes, num)) for skill in (skill_a, skill_b)]
    return truth, *guesses, np.repeat(np.arange(num // 20), 20).astype(str)


def test_differences_are_those_of_the_two_accuracies():
    truth, a, b, clusters = systems(1)
    found = compare(truth, a, b, clusters, 3)
    assert found.wa.value == pytest.approx((a == truth).mean() - (b == truth).mean())
    expected = [unweighted_accuracy(confusion(truth, guess, 3)) for guess in (a, b)]
    assert found.ua.value == pytest.approx(expected[0] - expected[1])
    assert found.wa.interval[0] < found.wa.value < found.wa.interval[1]
    assert found.clusters == 12
    assert found.only_a == int(((a == truth) & (b != truth)).sum())
    assert found.wa.p < 0.01 and found.mcnemar_p < 0.01 and found.cohen_g > 0.1


def test_the_permutation_of_ua_equals_exchanging_outputs():
    truth, a, b, clusters = systems(2, num=120)
    names = np.unique(clusters)
    observed, reached = None, 0
    for swap in itertools.product([False, True], repeat=len(names)):
        swapped = np.isin(clusters, names[list(swap)])
        pair = np.where(swapped, b, a), np.where(swapped, a, b)
        ua = [unweighted_accuracy(confusion(truth, guess, 3)) for guess in pair]
        observed = abs(ua[0] - ua[1]) if observed is None else observed
        reached += abs(ua[0] - ua[1]) >= observed - 1e-12
    found = compare(truth, a, b, clusters, 3).ua
    assert found.permuted == pytest.approx(reached / 2 ** len(names)) and found.p >= found.permuted


def test_exchanging_the_systems_turns_the_differences_over():
    truth, a, b, clusters = systems(3)
    one, two = compare(truth, a, b, clusters, 3), compare(truth, b, a, clusters, 3)
    assert one.wa.value == pytest.approx(-two.wa.value)
    assert one.wa.p == pytest.approx(two.wa.p)
    assert one.ua.interval == pytest.approx(tuple(-end for end in reversed(two.ua.interval)), abs=0.01)
    assert one.mcnemar_p == two.mcnemar_p


def test_a_system_does_not_differ_from_itself():
    truth, a, _, clusters = systems(4)
    found = compare(truth, a, a, clusters, 3)
    assert (found.wa.value, found.wa.p, found.ua.p, found.mcnemar_p, found.cohen_g) == (0, 1, 1, 1, 0)


def test_equal_systems_are_called_different_one_time_in_twenty():
    p = [compare(*systems(seed, 0.6, 0.6), 3, draws=200).wa.p for seed in range(400)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08


def test_clusters_mislead_mcnemar_but_not_the_permutation():
    # Each of twelve speakers favours one of two equal systems on all of 20 segments.
    fooled = {"mcnemar": 0, "permutation": 0}
    rng = np.random.default_rng(6)
    truth, clusters = np.zeros(240, dtype=int), np.repeat(np.arange(12), 20)
    for seed in range(200):
        favours = rng.integers(0, 2, 12)[clusters]
        found = compare(truth, favours, 1 - favours, clusters, 2, draws=50, seed=seed)
        fooled["mcnemar"] += found.mcnemar_p <= 0.05
        fooled["permutation"] += found.wa.p <= 0.05
    assert fooled["mcnemar"] > 100
    assert fooled["permutation"] < 20


def test_the_interval_and_p_of_students_t_are_scipys():
    """Speakers of one size and one class: the jackknife is the t test of the speakers' differences."""
    rng = np.random.default_rng(7)
    speaker, truth = np.repeat(np.arange(8), 25), np.zeros(200, dtype=int)
    skill = rng.uniform(0.2, 0.8, (2, 8))
    a, b = ((rng.random(200) > one[speaker]).astype(int) for one in skill)
    gains = [(a[speaker == n] == 0).mean() - (b[speaker == n] == 0).mean() for n in range(8)]
    found, wanted = compare(truth, a, b, speaker, 2).wa, stats.ttest_1samp(gains, 0)
    assert found.interval == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert found.p == pytest.approx(max(wanted.pvalue, found.permuted)) and found.freedom == pytest.approx(7)


def test_a_significant_difference_has_an_interval_without_0():
    for seed in range(60):
        truth, a, b, clusters = systems(seed, 0.62, 0.5)
        for found in (
            compare(truth, a, b, clusters, 3, np.arange(240) // 40 % 3).ua,
            compare(truth, a, b, clusters, 3).wa,
        ):
            assert found.p >= 0.05 or found.interval[0] > 0 or found.interval[1] < 0


def test_equal_gains_of_speakers_still_have_an_interval():
    truth, speaker = np.zeros(400, dtype=int), np.repeat(np.arange(4), 100)
    a, b = (np.arange(400) % 100 < 20).astype(int), (np.arange(400) % 100 < 40).astype(int)
    found = compare(truth, a, b, speaker, 2)
    assert found.wa.error == 0 and found.wa.interval[1] - found.wa.interval[0] > 0.05
    assert found.wa.p == found.least_p == 0.125 and not found.possible()


def test_networks_of_shared_folds_are_the_units():
    """Ten speakers in five folds, of which each favours one system: ten speakers would show it, five networks do not."""
    truth, speaker = np.zeros(400, dtype=int), np.repeat(np.arange(10), 40)
    favours = np.array([0, 0, 0, 0, 1])[speaker // 2]
    found = compare(truth, favours, 1 - favours, speaker, 2, speaker // 2)
    alone = compare(truth, favours, 1 - favours, speaker, 2)
    assert (found.clusters, found.units, alone.units) == (10, 5, 10)
    assert found.wa.p > alone.wa.p and found.wa.freedom == pytest.approx(4)
    assert found.wa.permuted == alone.wa.permuted


def test_pooled_runs_are_the_mean_of_their_differences():
    truth, a, b, clusters = systems(9)
    _, a2, _, _ = systems(10)
    found = compare(truth, np.stack([a, a2]), b, clusters, 3)
    each = [compare(truth, one, b, clusters, 3).ua.value for one in (a, a2)]
    assert found.ua.value == pytest.approx(np.mean(each)) and found.runs == (2, 1)
    assert found.mcnemar_p is None and found.only_a is None


def test_a_difference_that_could_be_shown_worked_by_hand():
    """Four degrees of freedom: 2.7764 + 0.9410 errors; of two tests 3.4954 (the quantile of 0.9875) + 0.9410."""
    found = Difference(0.01, (-0.1, 0.1), 0.5, 0.5, 0.02, 4, 0.001)
    assert found.detectable() == pytest.approx(0.02 * 3.7174, abs=1e-5)
    assert found.detectable(2) == pytest.approx(0.02 * (3.4954 + 0.9410), abs=1e-5)


def test_detectable_differences_are_near_those_of_statsmodels():
    # statsmodels 0.15: TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * n**0.5, by the noncentral t distribution.
    for units, errors in ((5, 3.761060), (10, 3.149635), (24, 2.925592), (91, 2.831921)):
        found = Difference(0.01, (-0.1, 0.1), 0.5, 0.5, 0.02, units - 1, 0.001)
        assert found.detectable() == pytest.approx(0.02 * errors, rel=0.012)
