"""The machine: device, precision, threads, memory."""

import ctypes
import logging
import os
import time

import torch

from sertk.errors import SertkError

log = logging.getLogger("sertk")

CPUINFO = "/proc/cpuinfo"
# The processor's flags for products of bf16 numbers: x86's two sets of instructions, ARM's one.
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
# What ONEDNN_MAX_CPU_ISA may keep the library of torch's convolutions to, and it then emulates bf16.
ISAS_WITHOUT_BF16 = {"sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core", "avx512_core_vnni"}
# Of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def choose_device(wanted: str | None) -> torch.device:
    """The device called `wanted` (cpu, cuda, cuda:N), ready to compute; without a name CUDA where there is one.

    A GPU's float32 is then float32 (torch lets cuDNN round it to 10 bits, TF32), and of cuDNN's ways those are taken that
    give the same bits each time.

    Raises:
        SertkError: where the device does not exist; there is no silent CPU.
    """
    device = _named(wanted) if wanted is not None else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)  # what asks for no device in particular takes this one too
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    return device


def _named(wanted: str) -> torch.device:
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise SertkError(f"no such device: '{wanted}' (wanted cpu, cuda or cuda:N)") from None
    if device.type not in ("cpu", "cuda"):
        raise SertkError(f"no such device: '{wanted}' (wanted cpu, cuda or cuda:N)")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise SertkError(
                f"--device {wanted}: this machine has {count or 'no'} CUDA devices that torch {torch.__version__} can use"
                " (see nvidia-smi; --device cpu computes without)"
            )
    return device


def choose_precision(wanted: str, device: torch.device, begun: str | None = None) -> str:
    """The number format of a computation on `device`, "float32" or "bf16".

    Args:
        wanted: "float32", "bf16", or "auto": that of the run that is resumed, else bf16 where the hardware computes in it.
        begun: the format of the run that is resumed, None where there is none.
    """
    if wanted != "auto":
        return wanted
    return begun or ("bf16" if computes_bf16(device) else "float32")


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware has bf16 arithmetic that torch may use; elsewhere torch emulates it, many times slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    if cap.lower() in ISAS_WITHOUT_BF16 or not torch.backends.mkldnn.is_available():
        return False
    return not BF16_FLAGS.isdisjoint(_cpu_flags())


def _cpu_flags() -> set[str]:
    """The flags of the first processor, as Linux has them; where it says nothing, what torch knows of them."""
    try:
        with open(CPUINFO) as file:
            for line in file:
                name, _, flags = line.partition(":")
                if name.strip() in ("flags", "Features"):  # of x86, of ARM
                    return set(flags.split())
    except OSError:
        pass
    known = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}
    return {flag for flag, name in known.items() if getattr(torch.cpu, name, bool)()}


def warn_of_emulated_bf16(precision: str, device: torch.device) -> None:
    """Warn of bf16 that the hardware emulates, with the measured cost.

    Raises:
        SertkError: on a GPU for which torch does not emulate it either.
    """
    if precision != "bf16" or computes_bf16(device):
        return
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise SertkError(f"--precision bf16: torch {torch.__version__} has none on {hardware(device)} (float32 works)")
    log.warning("bf16 is emulated on this %s: a layer took %.1f times as long as in float32 (measured just now);"
                " a new run with --precision auto computes in float32 here",
                "GPU" if device.type == "cuda" else "processor", bf16_slowdown(device))  # fmt: skip


def bf16_slowdown(device: torch.device) -> float:
    """How many times as long as in float32 one step of a layer takes in bf16, measured in some tens of milliseconds."""
    layer = torch.nn.Sequential(torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.BatchNorm2d(32), torch.nn.PReLU())
    layer = layer.to(device).to(memory_format=torch.channels_last)
    maps = torch.ones(1, 32, 32, 50, device=device).to(memory_format=torch.channels_last).requires_grad_()

    def seconds(bf16: bool) -> float:
        begun = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = layer(maps).float().sum()
        loss.backward()
        maps.grad.sum().item()  # waits for a GPU
        return time.perf_counter() - begun

    fastest = [min(seconds(bf16) for _ in range(3)) for bf16 in (False, True)]
    return fastest[1] / fastest[0]


def hardware(device: torch.device) -> str:
    """What computes on `device`: "cpu", or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def prepare_cpu(count: int | None) -> int:
    """Compute with `count` CPU threads and keep memory (see keep_memory); returns how many threads.

    Without a count OMP_NUM_THREADS says how many, as batch systems set it, else it is one a core that this process may use.
    """
    keep_memory()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(count or (min(int(asked), 4096) if asked.isdecimal() else 0) or len(os.sched_getaffinity(0)))
    return torch.get_num_threads()


def keep_memory() -> bool:
    """Have the C library keep the memory of tensors that are freed; returns whether it could be told so.

    A step frees and allocates some hundred maps of megabytes. Given back to the system each time, their pages are asked for
    and cleared again one by one, which is a quarter of a step on a CPU. What is kept is what a step needs at most.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "LD_PRELOAD" in os.environ:
        return False  # somebody has chosen how memory is allocated
    mallopt = _of_glibc("mallopt")
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


def give_memory_back(device: torch.device) -> None:
    """Give the device, or the system, what is kept of freed tensors: other sizes may need it in other pieces."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif trim := _of_glibc("malloc_trim"):
        trim(ctypes.c_size_t(0))


def _of_glibc(name: str):
    """A function of the C library, None where that is another one."""
    return getattr(ctypes.CDLL(None), name, None)
