"""What the Triton kernels of a training step share: the maps and arguments that they take, their tiles, their import."""

import importlib
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor


def kernels_take(maps: Tensor) -> bool:
    """True for maps that lie channels last, in float32 or bf16; others are left to torch."""
    return maps.is_contiguous(memory_format=torch.channels_last) and maps.dtype in (torch.float32, torch.bfloat16)


def in_layout(x: Tensor) -> Tensor:
    """The same maps, channels last."""
    return x.contiguous(memory_format=torch.channels_last)


def given(tensor: Tensor | None, other: Tensor) -> Tensor:
    """A kernel's argument that it does not read, where there is none."""
    return other if tensor is None else tensor


def power_of_2(number: int) -> int:
    """The smallest power of two that is not smaller: the sides of a program's tile."""
    return 1 << (number - 1).bit_length()


def ratio_up(a: int, b: int) -> int:
    """Ratio of two numbers, rounded up."""
    return -(-a // b)


@lru_cache
def multiprocessors(device: torch.device) -> int:
    """Of a GPU; 1 of a CPU."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def load_kernels(name: str) -> ModuleType:
    """A module of kernels, imported at first use: Triton is missing where torch was built without it, and slow to import."""
    return importlib.import_module(f"sertk.models.{name}")
