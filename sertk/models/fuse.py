"""Fuse BatchNorm into convolutions for evaluation, with weights in the number format of the computation.

In evaluation mode BatchNorm scales and shifts every channel by constants, which the convolution before it can do:

    gamma (W x - mean) / sqrt(var + eps) + beta  =  (s W) x + (beta - s mean)  with  s = gamma / sqrt(var + eps)
"""

import copy

import torch
from torch import nn

from sertk.models.activation import LayerPReLU
from sertk.models.compute import layout
from sertk.models.resnet import ResNet


def for_evaluation(network: ResNet, device: torch.device, precision: str = "float32") -> ResNet:
    """A faster copy of `network` with the same outputs, for evaluation only.

    Args:
        network: stays as it is.
        device: of the copy.
        precision: "float32" or "bf16", of the copy's trunk; its head stays in float32.
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    trunk = copied.trunk
    trunk.stem, trunk.bn = folded(trunk.stem, trunk.bn), nn.Identity()
    trunk.act = fixed(trunk.act)
    for block in (block for stage in trunk.stages for block in stage):
        block.conv1, block.bn1, block.act1 = folded(block.conv1, block.bn1), nn.Identity(), fixed(block.act1)
        block.conv2, block.bn2, block.act2 = folded(block.conv2, block.bn2), nn.Identity(), fixed(block.act2)
        if len(block.shortcut):
            block.shortcut = nn.Sequential(folded(*block.shortcut), nn.Identity())
    norm = trunk.norm
    trunk.norm = nn.Identity()  # stays in float32
    trunk.to(torch.bfloat16 if precision == "bf16" else torch.float32)
    trunk.norm = norm
    return copied.to(device).to(memory_format=layout(network.spec))


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution with the output of `conv` (without bias) followed by `norm` in evaluation mode."""
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    new = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    new.weight.data = (conv.weight.double() * scale[:, None, None, None]).float()
    new.bias.data = (norm.bias.double() - scale * norm.running_mean.double()).float()
    return new.requires_grad_(False)


def fixed(activation: nn.Module) -> nn.Module:
    """The activation with its slope as a constant: in place, and without synchronising a GPU."""
    if isinstance(activation, LayerPReLU):
        return nn.LeakyReLU(float(activation.weight), inplace=True)
    return activation
