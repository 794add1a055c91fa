"""Tables that the tests share."""

import numpy as np
import pytest


@pytest.fixture
def feats() -> dict[str, np.ndarray]:
    """Twelve small feature matrices, keys in order."""
    random = np.random.default_rng(0)
    return {
        f"spk{i // 4}-utt{i:02}": (random.normal(size=(int(random.integers(1, 60)), 20)) * 4).astype(np.float32)
        for i in range(12)
    }


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
