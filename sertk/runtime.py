"""The machine: device, threads, and whether torch is fit to run."""

import os

import torch

from sertk.errors import SertkError


def choose_device(wanted: str | None) -> torch.device:
    """The device called `wanted` (cpu, cuda, cuda:N); without a name CUDA where there is one.

    Raises:
        SertkError: where the device does not exist; there is no silent CPU.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
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


def set_threads(count: int | None) -> int:
    """Compute with `count` CPU threads; returns how many.

    Without a count OMP_NUM_THREADS says how many, as batch systems set it, else it is one a core that this process may use.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(count or (int(asked) if asked.isdecimal() else 0) or len(os.sched_getaffinity(0)))
    return torch.get_num_threads()
