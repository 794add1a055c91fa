"""Number format and memory layout of the computation."""

import pytest
import torch

from sertk.models.compute import autocast, layout
from sertk.models.spec import NetworkSpec


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_computes_in_the_precision_asked_for(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(
    ("channels", "memory"), [(2, torch.contiguous_format), (15, torch.contiguous_format), (16, torch.channels_last)]
)
def test_narrow_networks_stay_contiguous(channels, memory):
    assert layout(NetworkSpec(4, channels=channels)) == memory
