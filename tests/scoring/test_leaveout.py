"""Figures without one speaker at a time, against leaving them out one by one with the functions of all trials."""

import numpy as np
import pytest
from scipy import stats

from sertk.scoring.leaveout import LeftOut, difference
from sertk.scoring.speaker import cllr, eer, min_dcf


def drawn(seed, speakers=8, trials=600):
    """Trials of speakers whose targets lie in different places; scores with ties."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, speakers, trials)
    second = np.where(rng.random(trials) < 0.4, first, rng.integers(0, speakers, trials))
    target = first == second
    return np.round(rng.normal(size=trials) + (0.5 + 0.6 * first) * target, 1), target, first, second


def without(figure, scores, target, first, second):
    """The figure without each speaker in turn."""
    values = []
    for speaker in np.unique([first, second]):
        kept = (first != speaker) & (second != speaker)
        values.append(figure(scores[kept & target], scores[kept & ~target]))
    return np.array(values)


@pytest.mark.parametrize("seed", range(5))
def test_left_out_figures_equal_those_of_the_other_trials(seed):
    trials = drawn(seed, speakers=8 + 20 * (seed % 2))
    scores, target, *_ = trials
    left_out = LeftOut(*trials)
    pairs = [(left_out.eers(), eer), (left_out.cllrs(), cllr)]
    priors = (0.01, 0.05, 0.5, 0.9)
    for p, replicates in zip(priors, left_out.min_dcfs(priors), strict=True):
        pairs.append((replicates, lambda targets, nontargets, p=p: min_dcf(targets, nontargets, p)))
    for replicates, figure in pairs:
        assert replicates.value == pytest.approx(figure(scores[target], scores[~target]), abs=1e-12)
        assert replicates.left == pytest.approx(without(figure, *trials), abs=1e-12)
        expected = (len(replicates.left) - 1) * replicates.left.var() + (len(replicates.left) - 1) * (
            replicates.left.mean() - replicates.value
        ) ** 2
        assert replicates.variance == pytest.approx(expected, rel=1e-9)


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
    assert LeftOut(scores, target, first, second).eers().rate_interval() == pytest.approx(wanted, abs=1e-6)


def test_an_eer_of_0_has_an_interval_and_one_speaker_has_none():
    first, second = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 1, 2, 0])
    target = first == second
    left_out = LeftOut(target * 1.0, target, first, second)
    low, high = left_out.eers().rate_interval()
    assert low == 0 and high == pytest.approx(1.96**2 / (3 + 1.96**2), abs=1e-3)  # Wilson's of 0 of 3
    low, high = left_out.min_dcfs([0.5])[0].rate_interval()  # the costs of both kinds of error, three trials each
    assert low == 0 and high == pytest.approx(1.96**2 / (1.5 + 1.96**2), abs=1e-3)
    assert not LeftOut(np.array([1.0, 0.0]), np.array([True, False]), np.zeros(2), np.zeros(2)).possible
    # Of one of two speakers are all targets: without him none is left.
    assert not LeftOut(target[:4] * 1.0, target[:4] & (first[:4] == 0), first[:4], second[:4]).possible


def test_intervals_of_independent_trials_follow_their_errors():
    """Speakers do not matter: binomial deviations of the costs, and those of the mean for Cllr.

    A nontarget trial is left out with both of its speakers, so that its variance counts twice (Efron and Stein 1981).
    """
    rng = np.random.default_rng(0)
    first = rng.integers(0, 400, 20_000)
    second = np.where(np.arange(20_000) % 2, first, (first + rng.integers(1, 400, 20_000)) % 400)
    target = first == second
    scores = rng.normal(size=20_000) + 2 * target
    left_out = LeftOut(scores, target, first, second)
    cost = left_out.min_dcfs([0.05])[0]
    low, high = cost.rate_interval()
    best = -np.inf
    for threshold in np.arange(1, 3, 0.01):
        miss, accepted = (scores[target] < threshold).mean(), (scores[~target] >= threshold).mean()
        if -(miss + 19 * accepted) > best:
            best, sd = -(miss + 19 * accepted), (miss * (1 - miss) + 2 * 361 * accepted * (1 - accepted)) ** 0.5 / 100
    assert (high - low) / 2 == pytest.approx(1.96 * sd, rel=0.15)
    loss = np.logaddexp(0, np.where(target, -scores, scores)) / np.log(2)
    sd = (loss[target].var() / 10_000 + 2 * loss[~target].var() / 10_000) ** 0.5 / 2
    low, high = left_out.cllrs().positive_interval()
    assert (high - low) / 2 == pytest.approx(1.96 * sd, rel=0.15)


def test_a_difference_is_students_t_over_the_left_out_speakers():
    scores, target, first, second = drawn(1)
    other = scores + np.random.default_rng(2).normal(0, 0.5, len(scores))
    a, b = (LeftOut(s, target, first, second).eers() for s in (scores, other))
    result = difference(a, b)
    # Student's t of the pseudo-values, whose mean is corrected for the jackknife's bias: only the deviation is the same.
    pseudo = 8 * (a.value - b.value) - 7 * (a.left - b.left)
    spread = ((pseudo - (a.value - b.value)) ** 2).sum() / 7 / 8
    assert result.error == pytest.approx(spread**0.5, rel=1e-9)
    assert result.p == pytest.approx(2 * stats.t.sf(abs(result.value) / result.error, 7), rel=1e-9)
    reach = stats.t.ppf(0.975, 7) * result.error
    assert result.interval == pytest.approx((result.value - reach, result.value + reach))


def test_equal_systems_differ_by_nothing():
    trials = drawn(3)
    left_out = LeftOut(*trials)
    same = difference(left_out.eers(), left_out.eers())
    assert (same.value, same.p, same.interval) == (0, 1, (0, 0))
