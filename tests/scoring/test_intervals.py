"""Intervals against scipy, brute force and their coverage of known truths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sertk.errors import SertkError
from sertk.scoring.emotion import confusion, unweighted_accuracy
from sertk.scoring.intervals import cluster_counts, cluster_intervals, percentiles, plain_intervals, resample, wilson


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(total, part, level):
    hits = round(part * total)
    expected = stats.binomtest(hits, total).proportion_ci(level, method="wilson")
    assert wilson(hits, total, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_papers_segment_count_gives_about_one_point_and_a_third():
    low, high = wilson(0.6361 * 5531, 5531)
    assert (high - low) / 2 == pytest.approx(0.0127, abs=2e-4)


def test_segment_bootstrap_of_ua_equals_scipy_bootstrap():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 300)
    guess = np.where(rng.random(300) < 0.6, truth, rng.integers(0, 3, 300))
    ends = plain_intervals(confusion(truth, guess, 3), draws=20_000).ua
    reference = stats.bootstrap(
        (truth, guess),
        lambda t, g: unweighted_accuracy(confusion(t, g, 3)),
        paired=True,
        vectorized=False,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ends == pytest.approx((reference.low, reference.high), abs=0.006)


def test_cluster_counts_are_the_confusion_of_each_cluster():
    truth, guess, cluster = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), ["b", "a", "b", "a"]
    assert cluster_counts(truth, guess, cluster, 2).tolist() == [[[0, 1], [1, 0]], [[1, 0], [0, 1]]]


def test_resampled_sums_have_the_moments_of_drawing_with_replacement():
    counts = np.array([[1.0], [2.0], [6.0]])
    drawn = resample(counts, 200_000, seed=3)[:, 0]
    assert drawn.mean() == pytest.approx(9, abs=0.03)
    assert drawn.var() == pytest.approx(3 * counts.var(), rel=0.02)


def test_clusters_of_one_segment_give_nearly_the_plain_interval():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 800)
    guess = np.where(rng.random(800) < 0.6, truth, 0)
    plain = plain_intervals(confusion(truth, guess, 4))
    clustered = cluster_intervals(truth, guess, [f"u{n}" for n in range(800)], 4)
    assert clustered.clusters == 800
    assert clustered.wa == pytest.approx(plain.wa, abs=0.005)
    assert clustered.ua == pytest.approx(plain.ua, abs=0.005)
    assert np.array(clustered.recalls) == pytest.approx(np.array(plain.recalls), abs=0.02)


def test_the_cluster_bootstrap_is_near_statsmodels_cluster_robust_interval():
    # statsmodels 0.15: OLS(right, 1).fit(cov_type="cluster", cov_kwds={"groups": dialog}, use_t=True).conf_int()
    dialog = np.repeat(np.arange(20), 15)
    right = (np.arange(300) * 7919 % 101) / 101 < 0.4 + 0.02 * dialog
    found = cluster_intervals(np.zeros(300, dtype=int), (~right).astype(int), dialog, 2)
    assert right.mean() == pytest.approx(0.59333, abs=1e-5)
    assert found.wa == pytest.approx((0.53268018, 0.65398649), abs=0.004)


def test_clusters_that_answer_alike_widen_the_interval():
    # Ten speakers, each wholly right or wholly wrong: ten observations, not 500.
    truth = np.zeros(500, dtype=int)
    speaker = np.repeat(np.arange(10), 50)
    guess = (speaker < 4).astype(int)
    clustered = cluster_intervals(truth, guess, [f"s{n}" for n in speaker], 2)
    plain = plain_intervals(confusion(truth, guess, 2))
    assert clustered.wa[1] - clustered.wa[0] > 4 * (plain.wa[1] - plain.wa[0])


def test_intervals_hold_the_truth_as_often_as_they_say_even_with_ten_speakers():
    rng = np.random.default_rng(5)
    held = {"expanded": 0, "plain": 0}
    trials = 300
    for trial in range(trials):
        skill = rng.normal(0.6, 0.1, 10)
        truth = np.zeros(400, dtype=int)
        speaker = np.repeat(np.arange(10), 40)
        guess = (rng.random(400) > skill[speaker]).astype(int)
        low, high = cluster_intervals(truth, guess, speaker, 2, draws=1000, seed=trial).wa
        held["expanded"] += low <= 0.6 <= high
        low, high = wilson(int((guess == 0).sum()), 400)
        held["plain"] += low <= 0.6 <= high
    assert 0.92 <= held["expanded"] / trials <= 0.98
    assert held["plain"] / trials < 0.88


def test_a_class_that_few_clusters_have_leaves_its_recall_wide_and_the_rest_alone():
    truth, guess = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    found = cluster_intervals(truth, guess, list("aabc"), 2)
    assert found.recalls[1] == (1.0, 1.0)
    assert all(np.isfinite(found.ua))


def test_one_cluster_has_no_interval():
    with pytest.raises(SertkError, match="two clusters or more"):
        cluster_intervals(np.array([0, 1]), np.array([0, 1]), ["a", "a"], 2)


def test_the_seed_alone_decides_the_draws():
    counts = np.arange(12).reshape(3, 4)
    assert (resample(counts, 50, 0) == resample(counts, 50, 0)).all()
    assert (resample(counts, 50, 0) != resample(counts, 50, 1)).any()


def test_no_values_give_no_interval():
    assert np.isnan(percentiles(np.full(5, np.nan), 3)).all()
    assert np.isnan(wilson(0, 0)).all()
