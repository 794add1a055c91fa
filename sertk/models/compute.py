"""Number format and memory layout of the computation, the same in training, trunk passes and prediction."""

import torch

from sertk.models.resnet import NetworkSpec


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context of computation in `precision` ("float32" or "bf16") on `device`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def layout(spec: NetworkSpec) -> torch.memory_format:
    """Channels-last, which is faster, except for narrow networks.

    The backward of their 1×1 convolutions of stride 2 corrupts memory on a CPU in that layout, below 16 channels
    (torch 2.11: "malloc(): invalid next size").
    """
    return torch.channels_last if spec.channels >= 16 else torch.contiguous_format
