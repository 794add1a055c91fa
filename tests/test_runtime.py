import os
import platform
import subprocess
import sys

import pytest
import torch

from sertk.errors import SertkError
from sertk.runtime import choose_device, prepare_cpu


def test_threads_are_those_asked_for_then_those_of_the_batch_system_then_all(monkeypatch):
    assert prepare_cpu(2) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert prepare_cpu(None) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert prepare_cpu(None) == len(os.sched_getaffinity(0))
    prepare_cpu(1)


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_an_error(name):
    with pytest.raises(SertkError, match=name):
        choose_device(name)


def test_a_gpu_that_is_named_is_the_current_one_and_computes_exactly(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for name in ("allow_tf32", "deterministic"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))  # as it was, afterwards
    assert choose_device("cuda:1") == torch.device("cuda:1") and chosen == [torch.device("cuda:1")]
    assert choose_device(None) == choose_device("cuda") == torch.device("cuda") and len(chosen) == 1
    assert not torch.backends.cudnn.allow_tf32 and torch.backends.cudnn.deterministic
    with pytest.raises(SertkError, match="2 CUDA devices"):
        choose_device("cuda:2")


# Some times, until the library has found its places; then the pages that are new to the process.
FAULTS = """
import resource, torch
from sertk.runtime import keep_memory
print(keep_memory())
def use(): maps = [torch.ones(1 << 24) for _ in range(4)]
for _ in range(8): use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4): use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
@pytest.mark.parametrize(
    ("chosen", "kept"), [({}, True), ({"MALLOC_TOP_PAD_": "1"}, False), ({"LD_PRELOAD": ""}, False)]
)
def test_memory_that_is_freed_is_used_again_unless_the_user_has_chosen_how(chosen, kept):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "LD_PRELOAD"))}
    run = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment | chosen, capture_output=True, text=True, check=True
    )
    said, faults = run.stdout.split()
    assert (said, int(faults) < 1000) == (str(kept), kept)


GIVEN_BACK = """
import re, torch
from sertk.runtime import give_memory_back, keep_memory
def held(): return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
keep_memory()
maps = [torch.ones(1 << 24) for _ in range(4)]
del maps
before = held()
give_memory_back(torch.device("cpu"))
print(before - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_memory_that_is_kept_can_be_given_back():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "LD_PRELOAD"))}
    run = subprocess.run(
        [sys.executable, "-c", GIVEN_BACK], env=environment, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) > 200  # MB, of 256
