"""Toy networks that are nobody's defaults, and a model file with a front end."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from sertk.frontend.options import FbankOptions
from sertk.models.modelfile import Model, save_model
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
    if network.spec.input_norm:
        network.trunk.norm.adapt(torch.randn(network.spec.bins), 1 + torch.rand(network.spec.bins))
    if network.spec.pooling == "attentive":
        network.pool.score.weight.data.normal_()
    if network.spec.level_input:
        network.head.standardise(
            10 * torch.rand(network.head.removed_dim).numpy(), np.full(network.head.removed_dim, 4.0)
        )
    return network.eval()


def save_toy_model(path: Path, cmvn: str = "segment"):
    """A model file of three emotions, on 16 normalised mel bins."""
    frontend = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": cmvn}
    torch.manual_seed(0)
    network = ResNet(NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)).eval()
    save_model(path, Model(network, ["ang", "neu", "sad"], frontend))
