"""Statistics of features over segments, against numpy."""

import numpy as np

from sertk.data.statistics import LEAST, bin_statistics
from sertk.data.store import store_of


def test_statistics_are_those_of_all_frames():
    """Far from 0, where squares in float32 would lose the variance."""
    rng = np.random.default_rng(0)
    matrices = [rng.normal(1000, [1, 2, 0.01], size=(n, 3)).astype(np.float32) for n in (1, 7, 300)]
    mean, deviation = bin_statistics(store_of(["a", "b", "c"], matrices))
    frames = np.concatenate(matrices).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-4)
    assert mean.dtype == deviation.dtype == np.float32


def test_constant_bin_keeps_a_deviation():
    _, deviation = bin_statistics(store_of(["a"], [np.full((5, 2), 7, np.float32)]))
    assert deviation.tolist() == [np.float32(LEAST)] * 2


def test_large_store_is_sampled_evenly():
    matrices = [np.full((1, 1), value, np.float32) for value in range(11)]
    mean, _ = bin_statistics(store_of([str(i) for i in range(11)], matrices), most=3)
    assert mean == (0 + 5 + 10) / 3
