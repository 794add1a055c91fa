"""What the kernels of a training step share."""

import sys

import pytest
import torch

from sertk.models.kernels import kernels_take, load_kernels, power_of_2


def test_kernels_take_maps_of_their_layout_and_formats():
    """A slice of a map's frames does not lie side by side; of one channel both layouts are the same."""
    maps = torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert kernels_take(maps) and kernels_take(maps.bfloat16()) and kernels_take(torch.zeros(2, 1, 4, 5))
    for other in (maps.contiguous(), maps.double(), maps.half(), maps[..., :4]):
        assert not kernels_take(other)


def test_sides_of_a_tile_are_powers_of_two():
    assert [power_of_2(number) for number in (1, 2, 3, 4, 5, 1024, 1025)] == [1, 2, 4, 4, 8, 1024, 2048]


def test_a_missing_triton_is_found_out_at_first_use(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "sertk.models.pool_kernels", raising=False)
    with pytest.raises(ImportError, match="triton"):
        load_kernels("pool_kernels")
