"""Scores that know of the raters, by hand and against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from sertk.datadir.votes import vote_shares
from sertk.scoring.agreement import agreement_scores

LABELS = ["ang", "hap", "neu"]
MAP = {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu"}


def test_four_segments_worked_by_hand():
    votes = [
        [("ang",), ("ang",), ("ang",)],  # all agree
        [("hap",), ("exc",), ("hap",)],  # all agree once exc is hap
        [("neu",), ("neu",), ("fru",)],  # two of three; fru has no class: shares 0, 0, 1
        [],  # nobody was asked
    ]
    posteriors = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05]])
    found = agreement_scores(np.array([0, 1, 2, 0]), posteriors, votes, LABELS, MAP)
    assert found["full"] == {"segments": 2, "wa": 0.5, "ua": 0.5}
    assert found["partial"] == {"segments": 1, "wa": 1.0, "ua": 1.0}
    assert found["segments"] == 3
    assert found["cross_entropy"] == pytest.approx(-(np.log(0.5) + np.log(0.25) + np.log(0.6)) / 3)
    assert found["entropy"] == 0


def drawn(seed=0, num=200):
    rng = np.random.default_rng(seed)
    votes = [[(str(word),) for word in rng.choice(["ang", "hap", "exc", "neu", "fru"], 3)] for _ in range(num)]
    return rng.integers(0, 3, num), rng.dirichlet(np.ones(3), num), votes


def test_entropy_and_divergence_are_scipys():
    truth, posteriors, votes = drawn()
    shares = [vote_shares(said, LABELS, MAP) for said in votes]
    voted = [(share, row) for share, row in zip(shares, posteriors) if share is not None]
    found = agreement_scores(truth, posteriors, votes, LABELS, MAP)
    assert found["segments"] == len(voted)
    assert found["entropy"] == pytest.approx(np.mean([stats.entropy(share) for share, _ in voted]))
    divergence = np.mean([stats.entropy(share, row) for share, row in voted])
    assert found["cross_entropy"] - found["entropy"] == pytest.approx(divergence)


def test_accuracies_of_agreed_segments_are_scikit_learns():
    truth, posteriors, votes = drawn(1, 600)
    full = np.array([len({MAP.get(said[0], said[0]) for said in three}) == 1 for three in votes])
    most = np.array([len({MAP.get(said[0], said[0]) for said in three}) for three in votes]) > 1
    found = agreement_scores(truth, posteriors, votes, LABELS, MAP)
    guess = posteriors.argmax(axis=1)
    for name, here in (("full", full), ("partial", most)):
        assert found[name]["segments"] == here.sum() > 20
        assert found[name]["wa"] == pytest.approx(accuracy_score(truth[here], guess[here]))
        assert found[name]["ua"] == pytest.approx(balanced_accuracy_score(truth[here], guess[here]))


def test_posteriors_equal_to_the_shares_reach_the_entropy():
    votes = [[("ang",), ("neu",)], [("ang",), ("ang",)]]
    shares = np.array([vote_shares(said, LABELS) for said in votes])
    found = agreement_scores(np.array([0, 0]), shares, votes, LABELS)
    assert found["cross_entropy"] == pytest.approx(found["entropy"]) == pytest.approx(np.log(2) / 2)
    wrong = agreement_scores(np.array([0, 0]), np.array([[0.0, 1.0, 0.0]] * 2), votes, LABELS)
    assert np.isfinite(wrong["cross_entropy"])


def test_nobody_who_votes_gives_no_figures():
    found = agreement_scores(np.array([0, 1]), np.full((2, 3), 1 / 3), [[], [()]], LABELS)
    nothing = {"segments": 0, "wa": None, "ua": None}
    assert found == {"full": nothing, "partial": nothing, "segments": 0, "cross_entropy": None, "entropy": None}
