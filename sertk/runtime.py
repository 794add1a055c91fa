"""The machine: device, threads, memory."""

import ctypes
import os

import torch

from sertk.errors import SertkError

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
