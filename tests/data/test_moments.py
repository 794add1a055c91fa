"""Mean and deviation over the segments of folds."""

import numpy as np

from sertk.data.moments import FoldMoments
from sertk.data.store import store_of

RNG = np.random.default_rng(0)


def test_moments_of_folds_are_numpys_over_all_rows(monkeypatch):
    """Also where the mean is a million deviations away, and where a fold is read in parts."""
    monkeypatch.setattr("sertk.data.moments.ROWS", 5)
    matrices = [RNG.normal([0, 1e6, 7], [1, 1, 0], (1 + i % 4, 3)).astype(np.float32) for i in range(40)]
    keys = [f"u{i}" for i in range(40)]
    moments = FoldMoments(store_of(keys, matrices), lambda key: str(int(key[1:]) % 3))
    rows = np.concatenate([m for i, m in enumerate(matrices) if i % 3 != 1]).astype(np.float64)
    mean, deviation = moments.of(["0", "2", "no such segment"])
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, rows.std(axis=0), rtol=1e-9, atol=1e-12)
