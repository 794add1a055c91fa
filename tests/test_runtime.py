import os
import platform
import subprocess
import sys

import pytest
import torch

from sertk import runtime
from sertk.errors import SertkError
from sertk.runtime import bf16_slowdown, choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_threads_come_from_option_then_batch_system(monkeypatch):
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


def test_a_named_gpu_is_current_and_computes_exactly(monkeypatch):
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


def test_tests_default_to_cpu_and_float32_everywhere():
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""  # as the processes that tests start inherit it
    assert choose_device(None) == CPU and choose_precision("auto", CPU) == "float32"


@pytest.mark.parametrize(
    ("flags", "cap", "precision"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", "", "bf16"),
        ("flags\t\t: fpu avx2 amx_bf16 amx_tile", "", "bf16"),
        ("Features\t: fp asimd i8mm bf16", "", "bf16"),  # ARM
        ("Features\t: fp asimd", "", "float32"),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", "", "float32"),
        ("flags\t\t: fpu avx2 svebf16x", "", "float32"),
        # The user keeps torch's convolutions from instructions that are there.
        ("flags\t\t: fpu avx512_bf16 amx_bf16", "AVX2", "float32"),
        ("flags\t\t: fpu avx512_bf16 amx_bf16", "avx512_core_vnni", "float32"),
        ("flags\t\t: fpu avx512_bf16 amx_bf16", "AVX512_CORE_BF16", "bf16"),
        ("flags\t\t: fpu avx512_bf16 amx_bf16", "ALL", "bf16"),
    ],
)
def test_auto_is_bf16_where_the_processor_has_it(tmp_path, monkeypatch, flags, cap, precision):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: amx_bf16\n{flags}\n\nprocessor\t: 1\n")
    monkeypatch.setattr(runtime, "CPUINFO", str(tmp_path / "cpuinfo"))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", cap)  # the older name
    assert choose_precision("auto", CPU) == precision
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    assert choose_precision("auto", CPU) == precision


@pytest.mark.parametrize("known", [True, False])
def test_torch_is_asked_where_linux_does_not_tell_the_processor(tmp_path, monkeypatch, known):
    monkeypatch.setattr(runtime, "CPUINFO", str(tmp_path / "none"))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: known, raising=False)
    assert choose_precision("auto", CPU) == ("bf16" if known else "float32")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")  # an older torch
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert choose_precision("auto", CPU) == "float32"


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "float32"), ((8, 0), "bf16"), ((12, 0), "bf16")])
def test_auto_is_bf16_on_gpus_from_capability_8_0_on(monkeypatch, capability, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", GPU) == precision


def test_a_precision_that_is_named_or_begun_with_stays():
    assert choose_precision("bf16", CPU) == choose_precision("bf16", CPU, "float32") == "bf16"
    assert choose_precision("float32", CPU, "bf16") == "float32"
    assert choose_precision("auto", CPU, "bf16") == "bf16"


def test_emulated_bf16_is_warned_of_with_what_it_costs(monkeypatch):
    warnings = []
    monkeypatch.setattr(runtime.log, "warning", lambda text, *values: warnings.append(text % values))
    warn_of_emulated_bf16("float32", CPU)
    assert not warnings
    assert bf16_slowdown(CPU) > 1.5  # measured: conftest.py keeps oneDNN to AVX2
    monkeypatch.setattr(runtime, "bf16_slowdown", lambda device: 6.789)
    warn_of_emulated_bf16("bf16", CPU)
    assert len(warnings) == 1
    assert "bf16 is emulated on this CPU: a layer took 6.8 times as long as in float32" in warnings[0]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "ALL")
    monkeypatch.setattr(runtime, "_cpu_flags", lambda: {"amx_bf16"})
    warn_of_emulated_bf16("bf16", CPU)
    assert len(warnings) == 1


def test_a_gpu_for_which_torch_has_no_bf16_at_all_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    with pytest.raises(
        SertkError, match=r"--precision bf16: not supported by torch .* on Tesla V100 \(float32 works\)"
    ):
        warn_of_emulated_bf16("bf16", GPU)


# Some times, until the library has found its places; then the pages that are new to the process, and MB given back.
FAULTS = """
import re, resource, torch
from sertk.runtime import keep_memory, release_memory
def use(): maps = [torch.ones(1 << 24) for _ in range(4)]
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def held(): return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
before = faults()
use()
first = faults() - before
keep_memory()
for _ in range(8): use()
before = faults()
for _ in range(4): use()
again, before = faults() - before, held()
release_memory(torch.device("cpu"))
print(first, again, before - held())
"""
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")


@needs_glibc
def test_freed_memory_is_reused_and_can_be_given_back():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "LD_PRELOAD"))}
    run = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True)
    first, again, given_back = map(int, run.stdout.split())
    assert first > 1000 > again and given_back > 200  # MB, of 256


@needs_glibc
@pytest.mark.parametrize(
    ("chosen", "calls"), [({}, [(-4, 0), (-1, -1)]), ({"MALLOC_TOP_PAD_": "1"}, []), ({"LD_PRELOAD": ""}, [])]
)
def test_malloc_is_configured_unless_the_user_does(monkeypatch, chosen, calls):
    made = []
    monkeypatch.setattr(runtime, "_glibc_function", lambda name: lambda *values: made.append(values) or 1)
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "LD_PRELOAD"))]:
        monkeypatch.delenv(name)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    assert runtime.keep_memory() is bool(calls) and made == calls
