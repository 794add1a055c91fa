"""Runtime environment: device, precision, threads, memory allocation."""

import ctypes
import logging
import os
import time
from collections.abc import Callable

import torch

from sertk.errors import SertkError

log = logging.getLogger("sertk")

CPUINFO = "/proc/cpuinfo"
# CPU flags for bf16 products: two instruction sets of x86, one of ARM.
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
# Values of ONEDNN_MAX_CPU_ISA with which oneDNN emulates bf16.
ISAS_WITHOUT_BF16 = {"sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core", "avx512_core_vnni"}
# Parameters of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def choose_device(name: str | None) -> torch.device:
    """Choose the device to compute on; on a GPU, turn off TF32 (10-bit float32) and non-deterministic cuDNN algorithms.

    Args:
        name: "cpu", "cuda" or "cuda:N"; None: "cuda" if there is a GPU, else "cpu".

    Raises:
        SertkError: the device does not exist.
    """
    device = _parse_device(name) if name is not None else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)  # for code that names no device
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    return device


def _parse_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SertkError(f"no such device: '{name}' (must be cpu, cuda or cuda:N)") from None
    if device.type not in ("cpu", "cuda"):
        raise SertkError(f"no such device: '{name}' (must be cpu, cuda or cuda:N)")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise SertkError(
                f"--device {name}: this machine has {count or 'no'} CUDA devices that torch {torch.__version__} can use"
                " (see nvidia-smi; --device cpu computes without)"
            )
    return device


def choose_precision(requested: str, device: torch.device, resumed: str | None = None) -> str:
    """Choose the number format of a computation.

    Args:
        requested: "float32", "bf16", or "auto": that of the resumed run, else bf16 if the hardware computes in it.
        device: where to compute.
        resumed: the format of the resumed run, None for a new one.

    Returns:
        "float32" or "bf16".
    """
    if requested != "auto":
        return requested
    return resumed or ("bf16" if computes_bf16(device) else "float32")


def computes_bf16(device: torch.device) -> bool:
    """True if the hardware has bf16 arithmetic that torch may use; otherwise torch emulates it, many times slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    if cap.lower() in ISAS_WITHOUT_BF16 or not torch.backends.mkldnn.is_available():
        return False
    return not BF16_FLAGS.isdisjoint(_cpu_flags())


def _cpu_flags() -> set[str]:
    """Flags of the first CPU, from /proc/cpuinfo; without that file, the bf16 flags that torch knows."""
    try:
        with open(CPUINFO) as file:
            for line in file:
                name, _, flags = line.partition(":")
                if name.strip() in ("flags", "Features"):  # x86, ARM
                    return set(flags.split())
    except OSError:
        pass
    known = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}
    return {flag for flag, name in known.items() if getattr(torch.cpu, name, bool)()}


def warn_of_emulated_bf16(precision: str, device: torch.device) -> None:
    """Warn if bf16 is emulated, with the slowdown measured.

    Args:
        precision: "float32" or "bf16".
        device: where to compute.

    Raises:
        SertkError: torch has no bf16 for this GPU, not even emulated.
    """
    if precision != "bf16" or computes_bf16(device):
        return
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise SertkError(
            f"--precision bf16: not supported by torch {torch.__version__} on {hardware(device)} (float32 works)"
        )
    log.warning(
        "bf16 is emulated on this %s: a layer took %.1f times as long as in float32 (measured just now);"
        " a new run with --precision auto computes in float32 here",
        "GPU" if device.type == "cuda" else "CPU",
        bf16_slowdown(device),
    )


def bf16_slowdown(device: torch.device) -> float:
    """Measure the time of a layer's training step in bf16, relative to float32; takes some tens of milliseconds."""
    layer = torch.nn.Sequential(torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.BatchNorm2d(32), torch.nn.PReLU())
    layer = layer.to(device).to(memory_format=torch.channels_last)
    maps = torch.ones(1, 32, 32, 50, device=device).to(memory_format=torch.channels_last).requires_grad_()

    def seconds(bf16: bool) -> float:
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = layer(maps).float().sum()
        loss.backward()
        maps.grad.sum().item()  # waits for the GPU
        return time.perf_counter() - start

    fastest = [min(seconds(bf16) for _ in range(3)) for bf16 in (False, True)]
    return fastest[1] / fastest[0]


def hardware(device: torch.device) -> str:
    """Name of the hardware behind a device: "cpu", or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def prepare_cpu(count: int | None) -> int:
    """Set the number of CPU threads and keep freed memory (see keep_memory).

    Args:
        count: threads; None: OMP_NUM_THREADS, which batch systems set, else the cores that this process may use.

    Returns:
        the number of threads.
    """
    keep_memory()
    variable = os.environ.get("OMP_NUM_THREADS", "")
    from_variable = min(int(variable), 4096) if variable.isdecimal() else 0
    torch.set_num_threads(count or from_variable or len(os.sched_getaffinity(0)))
    return torch.get_num_threads()


def keep_memory() -> bool:
    """Keep the memory of freed tensors in the heap (glibc only).

    A step frees and allocates some hundred maps of megabytes. If they are returned to the system, their pages are mapped and
    cleared again one by one, a quarter of a step's time on a CPU. The heap grows to the peak of one step.

    Returns:
        False if the C library is not glibc, or the user configures the allocator (MALLOC_* or LD_PRELOAD).
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "LD_PRELOAD" in os.environ:
        return False
    mallopt = _glibc_function("mallopt")
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


def release_memory(device: torch.device) -> None:
    """Release cached memory (CUDA cache or glibc heap), so that tensors of other sizes find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif trim := _glibc_function("malloc_trim"):
        trim(ctypes.c_size_t(0))


def _glibc_function(name: str) -> Callable[..., int] | None:
    """A function of the C library, None if the library has no such function."""
    return getattr(ctypes.CDLL(None), name, None)
