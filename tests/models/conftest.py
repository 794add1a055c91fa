"""Triton's interpreter for the kernels of training."""

import pytest

from sertk.models import fusednormact


@pytest.fixture
def interpreter():
    """Triton's interpreter (see conftest of all tests)."""
    pytest.importorskip("triton", reason="this torch came without Triton")


@pytest.fixture
def small_tiles(interpreter, monkeypatch):
    """Tiles of 8 rows and 8 channels, two or three spans: a small map has several of each, and parts of some."""
    for name, size in {"TILE": 64, "STATISTICS": 2, "GRADIENTS": 3, "TILE_CHANNELS": 8}.items():
        monkeypatch.setattr(fusednormact, name, size)
