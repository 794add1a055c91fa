"""Pooling in one pass: which maps it takes; values and gradients on a device: tests/gpu."""

import pytest
import torch
from networks import trained
from torch import channels_last

from sertk.models import fusedpool, normact
from sertk.models.fusedpool import FRAMES, FusedStats, takes
from sertk.models.pooling import StatsPool


@pytest.mark.parametrize(
    ("maps", "taken"),
    [
        (torch.zeros(2, 3, 4, 5).to(memory_format=channels_last), True),
        (torch.zeros(2, 3, 4, 5), False),
        (torch.zeros(2, 3, 4, 5, dtype=torch.float64).to(memory_format=channels_last), False),
        (torch.zeros(1, 2, 1, FRAMES + 1).to(memory_format=channels_last), False),
    ],
)
def test_other_maps_are_left_to_torch(maps, taken, monkeypatch):
    called = []
    monkeypatch.setattr(FusedStats, "apply", lambda maps, *_: called.append(maps) or maps)
    assert takes(maps) == taken
    pool = StatsPool()
    normact.use_fused(pool, True)
    pool(maps)
    assert len(called) == taken
    pool(maps, torch.full((len(maps),), maps.shape[3]))  # padded
    pool.eval()(maps)
    assert len(called) == taken


@pytest.mark.parametrize("network", [{}, {"deviation": "unbiased"}, {"pooling_epsilon": 0.0}])
def test_a_network_pools_the_same_in_the_fused_form(network, monkeypatch):
    pytest.importorskip("triton", reason="this torch came without Triton")
    monkeypatch.setattr(fusedpool, "CELLS", 8)  # several groups of channels
    network = trained(channels=2, **network).train()
    maps = torch.randn(3, 16, 2, 5, generator=torch.Generator().manual_seed(0)).to(memory_format=channels_last)
    pooled = []
    for fused in (False, True):
        normact.use_fused(network, fused)
        pooled.append(network.pool(maps))
    torch.testing.assert_close(*pooled)
