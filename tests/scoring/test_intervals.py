"""Intervals against scipy, brute force and their coverage of known truths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sertk.errors import SertkError
from sertk.scoring.intervals import cluster_intervals, percentiles, plain_intervals, resample, wilson
from sertk.scoring.variance import clustered_variance


@settings(max_examples=200)
@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(total, part, level):
    hits = round(part * total)
    expected = stats.binomtest(hits, total).proportion_ci(level, method="wilson")
    assert wilson(hits, total, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_papers_segments_give_about_one_point_and_a_third():
    low, high = wilson(0.6361 * 5531, 5531)
    assert (high - low) / 2 == pytest.approx(0.0127, abs=2e-4)


def test_ua_of_independent_segments_has_the_delta_methods_width():
    """Variance of a mean of three recalls: sum of r (1 - r) / n over 9."""
    counts = np.array([[240, 30, 30], [40, 200, 60], [30, 50, 220]])
    truth, guess = np.repeat(np.indices((3, 3)).reshape(2, 9), counts.ravel(), axis=1)
    r = np.array([0.8, 200 / 300, 220 / 300])
    error = np.sqrt((r * (1 - r) / 300).sum() / 9)
    low, high = plain_intervals(truth, guess, 3).ua
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.03)


def test_resampled_sums_have_the_moments_of_the_bootstrap():
    counts = np.array([[1.0], [2.0], [6.0]])
    drawn = resample(counts, 200_000, seed=3)[:, 0]
    assert drawn.mean() == pytest.approx(9, abs=0.03)
    assert drawn.var() == pytest.approx(3 * counts.var(), rel=0.02)


def test_clusters_of_one_segment_give_nearly_the_plain_interval():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 800)
    guess = np.where(rng.random(800) < 0.6, truth, 0)
    plain = plain_intervals(truth, guess, 4)
    clustered = cluster_intervals(truth, guess, [f"u{n}" for n in range(800)], 4)
    assert clustered.clusters == 800
    assert clustered.wa == pytest.approx(plain.wa, abs=0.005)
    assert clustered.ua == pytest.approx(plain.ua, abs=0.005)
    assert np.array(clustered.recalls) == pytest.approx(np.array(plain.recalls), abs=0.02)


def test_clustered_intervals_are_near_those_of_statsmodels():
    # statsmodels 0.15: OLS(right, 1).fit(cov_type="cluster", cov_kwds={"groups": dialog}, use_t=True).conf_int()
    dialog = np.repeat(np.arange(20), 15)
    right = (np.arange(300) * 7919 % 101) / 101 < 0.4 + 0.02 * dialog
    truth, guess = np.zeros(300, dtype=int), (~right).astype(int)
    assert right.mean() == pytest.approx(0.59333, abs=1e-5)
    # statsmodels' is symmetrical, on the scale of the accuracy itself.
    assert cluster_intervals(truth, guess, dialog, 2).wa == pytest.approx((0.53268018, 0.65398649), abs=0.003)
    assert cluster_intervals(truth, guess, dialog, 2, method="bootstrap").wa == pytest.approx(
        (0.53268018, 0.65398649), abs=0.004
    )
    # Of equal clusters the jackknife is the linearised variance, statsmodels' with its small-sample correction.
    variance = clustered_variance(truth, guess[None], dialog, 2)
    assert np.sqrt(variance.variances[0]) * stats.t.ppf(0.975, 19) == pytest.approx(
        (0.65398649 - 0.53268018) / 2, abs=1e-8
    )


def test_clusters_that_answer_alike_widen_the_interval():
    # Ten speakers, each wholly right or wholly wrong: ten observations, not 500.
    truth = np.zeros(500, dtype=int)
    speaker = np.repeat(np.arange(10), 50)
    guess = (speaker < 4).astype(int)
    clustered = cluster_intervals(truth, guess, [f"s{n}" for n in speaker], 2)
    plain = plain_intervals(truth, guess, 2)
    assert clustered.wa[1] - clustered.wa[0] > 4 * (plain.wa[1] - plain.wa[0])


def test_intervals_of_ten_speakers_cover_the_truth_as_stated():
    rng = np.random.default_rng(5)
    held = {"clustered": 0, "plain": 0}
    trials = 300
    for _ in range(trials):
        skill = rng.normal(0.6, 0.1, 10)
        truth = np.zeros(400, dtype=int)
        speaker = np.repeat(np.arange(10), 40)
        guess = (rng.random(400) > skill[speaker]).astype(int)
        low, high = cluster_intervals(truth, guess, speaker, 2).wa
        held["clustered"] += low <= 0.6 <= high
        low, high = wilson(int((guess == 0).sum()), 400)
        held["plain"] += low <= 0.6 <= high
    assert 0.92 <= held["clustered"] / trials <= 0.98
    assert held["plain"] / trials < 0.88


def test_what_one_cluster_alone_has_has_no_interval():
    truth, guess = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    found = cluster_intervals(truth, guess, list("aabc"), 2)
    assert np.isnan(found.recalls[1]).all() and np.isnan(found.ua).all()
    assert np.isfinite(found.wa).all() and np.isfinite(found.recalls[0]).all()


def test_one_cluster_has_no_interval():
    with pytest.raises(SertkError, match="two clusters or more"):
        cluster_intervals(np.array([0, 1]), np.array([0, 1]), ["a", "a"], 2)


def test_none_wrong_gives_wilsons_interval():
    """60 of 60: 60 / (60 + 1.96²) and up."""
    truth = np.zeros(60, dtype=int)
    for found in (cluster_intervals(truth, truth, np.arange(60) // 6, 2), plain_intervals(truth, truth, 2)):
        assert found.wa == pytest.approx((60 / 63.8415, 1), abs=1e-4)


def test_two_speakers_give_students_t_with_one_degree():
    """Accuracies 0.9 and 0.8333 of 30 each: an error of 1/30, 12.7062 of them, on Wilson's scale by hand."""
    truth = np.zeros(60, dtype=int)
    guess = np.r_[np.arange(30) < 3, np.arange(30) < 5].astype(int)
    found = cluster_intervals(truth, guess, np.repeat(["a", "b"], 30), 2)
    p = 52 / 60
    trials = p * (1 - p) * 900  # as many independent ones have that error
    w = 12.7062**2 / trials
    half = np.sqrt(w * p * (1 - p) + w * w / 4)
    assert found.wa == pytest.approx(((p + w / 2 - half) / (1 + w), (p + w / 2 + half) / (1 + w)), abs=1e-5)
    assert found.units == 2


def test_speakers_of_one_folds_network_are_left_out_together():
    rng = np.random.default_rng(3)
    truth, speaker = rng.integers(0, 3, 400), np.repeat(np.arange(10), 40)
    guess = np.where(rng.random(400) < 0.6, truth, rng.integers(0, 3, 400))
    found = cluster_intervals(truth, guess, speaker, 3, speaker // 2)
    assert (found.clusters, found.units) == (10, 5)
    assert found.wa == cluster_intervals(truth, guess, speaker // 2, 3).wa
    assert cluster_intervals(truth, guess, speaker, 3, speaker).units == 10
    # Sessions of two folds each know of their networks already.
    assert cluster_intervals(truth, guess, speaker // 2, 3, speaker).wa == found.wa
    # Where folds cross the speakers, they add their own variance: one network is worse, for all speakers.
    fold = np.arange(400) % 4
    guess = np.where(fold == 0, 0, guess)
    crossed, alone = (cluster_intervals(truth, guess, speaker, 3, column) for column in (fold, None))
    assert crossed.units == 10 and crossed.wa[0] < alone.wa[0] and crossed.wa[1] > alone.wa[1]


def test_only_runs_that_differ_widen_the_interval():
    rng = np.random.default_rng(5)
    truth, speaker = np.zeros(400, dtype=int), np.repeat(np.arange(10), 40)
    base = (rng.random((3, 400)) < 0.4).astype(int)
    alike = cluster_intervals(truth, base, speaker, 2)
    shifted = base.copy()
    shifted[0] |= rng.random(400) < 0.5  # one run far worse, for all speakers alike
    apart = cluster_intervals(truth, shifted, speaker, 2)
    assert (alike.runs, alike.units) == (3, 10)
    assert apart.wa[1] - apart.wa[0] > 2 * (alike.wa[1] - alike.wa[0])
    same = cluster_intervals(truth, np.stack([base[0]] * 3), speaker, 2)
    assert same.wa == pytest.approx(cluster_intervals(truth, base[0], speaker, 2).wa)


def test_runs_with_errors_of_their_own_count_as_more_segments():
    """50 speakers alike, two runs that err on other segments: no wider than 400 independent segments."""
    truth, speaker = np.zeros(200, dtype=int), np.arange(200) // 4
    guess = np.stack([np.arange(200) % 4 == 0, np.arange(200) % 4 == 1]).astype(int)
    for found in (plain_intervals(truth, guess, 2), cluster_intervals(truth, guess, speaker, 2)):
        assert found.wa == pytest.approx(wilson(300, 400), abs=1e-4)
    assert plain_intervals(truth, guess[[0, 0]], 2).wa == pytest.approx(wilson(150, 200), abs=1e-4)


def test_precision_recall_and_f1_lie_in_their_intervals():
    from sklearn.metrics import f1_score, precision_score, recall_score

    rng = np.random.default_rng(8)
    truth = rng.integers(0, 3, 300)
    guess = np.where(rng.random(300) < 0.6, truth, rng.integers(0, 3, 300))
    found = cluster_intervals(truth, guess, np.repeat(np.arange(15), 20), 3)
    assert found.macro_f1[0] < f1_score(truth, guess, average="macro") < found.macro_f1[1]
    for name, score in (("precisions", precision_score), ("recalls", recall_score)):
        for value, (low, high) in zip(score(truth, guess, average=None), getattr(found, name), strict=True):
            assert low < value < high


def test_the_seed_alone_decides_the_draws():
    counts = np.arange(12).reshape(3, 4)
    assert (resample(counts, 50, 0) == resample(counts, 50, 0)).all()
    assert (resample(counts, 50, 0) != resample(counts, 50, 1)).any()


def test_no_values_give_no_interval():
    assert np.isnan(percentiles(np.full(5, np.nan), 3)).all()
    assert np.isnan(wilson(0, 0)).all()
