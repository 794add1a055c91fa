"""Several processes: two that share one GPU, NCCL with one rank, and a process that is dead while NCCL waits for it.

NCCL between two GPUs needs two of them; what one can show is here, and with gloo on the CPU in tests/training.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from ranks import free_port, variables
from support import ROOT
from trainings import records, train_words, weights

HELPER = ROOT / "tests/helpers/waiting_rank.py"
ON_BOTH = [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)]


def started(command, **environment):
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


@pytest.mark.parametrize("device", ON_BOTH, indirect=True)
def test_two_processes_on_one_device_train_as_one(toy, train, device, network):
    """With gloo, since NCCL takes one process a GPU. Rounding grows: with 16 channels to 1e-3 in two epochs, on a CPU as well."""
    options = (*network, "--epochs", 2, "--precision", "float32", "--augment", "none,3:9:0.2:2:2,5:9:0.2:2:2")
    train("one", *options, network=())
    words, port = train_words(toy, "two", *options, "--sync-batchnorm", "true", network=()), free_port()
    both = [started([ROOT / "bin/train-resnet", *words], **variables(rank, 2, 7, port)) for rank in range(2)]
    said = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    two = weights(toy / "two/final.pt")
    for name, tensor in weights(toy / "one/final.pt").items():
        torch.testing.assert_close(two[name], tensor, atol=1e-4 if device == "cpu" else 5e-3, rtol=0)
    losses = [[record["loss"] for record in records(toy / name)] for name in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize("device", ON_BOTH, indirect=True)
def test_a_dead_process_ends_one_that_waits_for_it(device):
    """NCCL waits for it in its first sum; of gloo it keeps its connections, as a machine does that hangs."""
    backend, silence = ("nccl", 25) if device == "cuda" else ("gloo", 4)
    port = free_port()
    both = [started([sys.executable, HELPER, backend, rank, port, silence]) for rank in range(2)]
    assert [process.stdout.readline() for process in both] == ["joined\n"] * 2
    both[1].send_signal(signal.SIGKILL if backend == "nccl" else signal.SIGSTOP)
    start = time.monotonic()
    try:
        err = both[0].communicate(timeout=silence + 20)[1]
    finally:
        both[0].kill()
        both[1].kill()
    assert both[0].returncode == 1
    assert f"process 0 of 2 ends: no sign of life from process 1 for {silence} s" in err
    assert time.monotonic() - start < silence + 5 + 5  # a beat before it died, a look at the counts


@pytest.mark.gpu
def test_nccl_with_one_rank_sums_and_waits():
    """The calls of World with NCCL; a process that is alone makes none of them."""
    code = (
        "import torch; from torch import distributed; from sertk.training.distributed import World;"
        "torch.cuda.set_device(0); distributed.init_process_group('nccl', store=distributed.HashStore(), rank=0, world_size=1);"
        "world = World(0, 2);"  # of which one is here: it sums and waits as if there were another
        "assert world.sum(torch.ones(3, device='cuda')).tolist() == [1, 1, 1]; world.wait(); world.close(); print('done')"
    )
    out, err = started([sys.executable, "-c", code]).communicate(timeout=120)
    assert out == "done\n", err
