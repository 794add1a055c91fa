"""What runs on a GPU (make test-gpu), and once on the CPU (make test), so that the tests themselves are known to work."""

import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request) -> str:
    """The device, as --device takes it."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    return request.param


@pytest.fixture
def network(device) -> tuple:
    """Options of a toy network: on a GPU one of 16 channels, which lies in memory as real ones do (compute.layout)."""
    channels = 16 if device == "cuda" else 2
    return ("--channels", channels, "--blocks", "1,1,1,1", "--embedding-dim", 8, "--chunk-frames", "24,32",
            "--num-threads", 1, "--device", device)  # fmt: skip


@pytest.fixture
def blocks_taken(device):
    """blocks_taken() -> blocks of the device's memory that were ever taken; on a CPU, where nobody counts, one more each time."""
    calls = iter(range(1 << 30))

    def count() -> int:
        return torch.cuda.memory_stats().get("allocation.all.allocated", 0) if device == "cuda" else next(calls)

    return count
