"""The mean of posteriors over systems, against scipy."""

import numpy as np
import pytest
from experiment import Experiment
from scipy.special import softmax

from sertk.errors import SertkError
from sertk.scoring.fusion import FLOOR, fuse, weighted_mean
from sertk.scoring.testset import read_test


@pytest.fixture
def posteriors():
    return np.random.default_rng(0).dirichlet(np.ones(4), (3, 20))


def test_the_mean_of_logarithms_is_a_softmax(posteriors):
    weights = np.array([0.5, 0.3, 0.2])
    expected = softmax(sum(w * np.log(p) for w, p in zip(weights, posteriors)), axis=-1)
    assert weighted_mean(posteriors, weights, "log") == pytest.approx(expected)


def test_the_linear_mean_has_sum_one(posteriors):
    weights = np.array([0.5, 0.3, 0.2])
    fused = weighted_mean(posteriors, weights, "linear")
    assert fused == pytest.approx(np.einsum("s,skc->kc", weights, posteriors))
    assert fused.sum(axis=1) == pytest.approx(np.ones(20))


def test_no_system_has_a_veto():
    """A hard label has probability 0 elsewhere; in the mean of logarithms it counts as FLOOR."""
    both = np.array([[[1.0, 0.0]], [[1e-9, 1 - 1e-9]]])
    assert weighted_mean(both, np.array([0.5, 0.5]), "log")[0] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert FLOOR < 1e-3


def test_only_the_ratio_of_weights_counts(tmp_path):
    made = Experiment(tmp_path)
    sources = [str(made.write("a")), str(Experiment(tmp_path, skill=0.5, seed=1).write("b"))]
    test = read_test(*map(tmp_path.joinpath, ("folds/utt2label", "folds/utt2fold")), None)
    equal, large = fuse(test, sources), fuse(test, sources, (1e308, 1e308))
    np.testing.assert_array_equal(large.posteriors, equal.posteriors)
    with pytest.raises(SertkError, match="a: is given twice"):
        fuse(test, [*sources, sources[0]])
