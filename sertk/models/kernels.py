"""What the Triton kernels of a training step share: the maps that they take, the sides of their tiles, their import."""

import importlib
from types import ModuleType

import torch
from torch import Tensor


def kernels_take(maps: Tensor) -> bool:
    """True for maps that lie channels last, in float32 or bf16; others are left to torch."""
    return maps.is_contiguous(memory_format=torch.channels_last) and maps.dtype in (torch.float32, torch.bfloat16)


def power_of_2(number: int) -> int:
    """The smallest power of two that is not smaller: the sides of a program's tile."""
    return 1 << (number - 1).bit_length()


def load_kernels(name: str) -> ModuleType:
    """A module of kernels, imported at first use: Triton is missing where torch was built without it, and slow to import."""
    return importlib.import_module(f"sertk.models.{name}")
