"""Toy networks that are nobody's defaults."""

import torch
from torch import nn

from sertk.models.resnet import NetworkSpec, ResNet


def trained(**fields):
    """A network whose BatchNorms and slopes are nobody's defaults, as after training."""
    torch.manual_seed(0)
    network = ResNet(
        NetworkSpec(4, **({"bins": 16, "channels": 4, "blocks": (1, 2, 1, 1), "embedding_dim": 8} | fields))
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    for name, parameter in network.named_parameters():
        if "act" in name:
            parameter.data.uniform_(-0.2, 0.6)
    return network.eval()
