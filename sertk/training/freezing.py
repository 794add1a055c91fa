"""Partial training: which layers are frozen, and the parameter groups of the optimiser."""

import inspect
import re
from dataclasses import dataclass

import torch
from torch import nn

from sertk.errors import SertkError
from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.resnet import ResNet
from sertk.training.settings import DescentSettings


@dataclass(frozen=True)
class Freezing:
    """The frozen layers of a network.

    Args:
        frozen: modules without gradients.
        batchnorm: mode of their BatchNorms. "eval": stored statistics. "train": each batch's statistics, which also update
            the running mean, so that frozen weights see normalised maps in a new domain.
    """

    frozen: tuple[nn.Module, ...]
    batchnorm: str = "eval"

    def train_mode(self, network: ResNet) -> None:
        """Put the network in training mode and its frozen layers in the mode of `batchnorm`."""
        network.train()
        for module in self.frozen:
            module.train(self.batchnorm == "train")


def freeze(network: ResNet, part: str, batchnorm: str = "eval") -> Freezing:
    """Freeze all but one part of a network.

    Args:
        network: its frozen parameters stop requiring gradients.
        part: what is trained: "all", "head", or "from-block-N" with N from 1 (the trunk's first block).
        batchnorm: mode of frozen BatchNorms, "eval" or "train".

    Raises:
        SertkError: there is no such part.
    """
    layers = network.layers()
    blocks = len(layers) - 1
    if part == "all":
        frozen = []
    elif part == "head":
        frozen = [network.trunk]
    else:
        match = re.fullmatch(r"from-block-(\d+)", part)
        if not match or not 1 <= int(match[1]) <= blocks:
            raise SertkError(f"--train {part}: must be all, head or from-block-N with N from 1 to {blocks}")
        frozen = layers[: int(match[1])]
    for module in frozen:
        module.requires_grad_(False)
    return Freezing(tuple(frozen), batchnorm)


def parameter_groups(
    network: ResNet, learning_rate: float, trunk_scale: float, weight_decay: float, decay_all: bool = True
) -> list[dict]:
    """Parameter groups of a network for an optimiser.

    Args:
        network: the trainable parameters are those that require gradients.
        learning_rate: of pooling and head.
        trunk_scale: factor of the trunk's learning rate, stored in a group as `scale` for the schedule.
        weight_decay: see decay_groups.
        decay_all: see decay_groups.
    """
    return [
        group | {"lr": learning_rate * scale, "scale": scale}
        for part, scale in ((network.trunk, trunk_scale), (network.pool, 1.0), (network.head, 1.0))
        for group in decay_groups(part, weight_decay, decay_all)
    ]


def decay_groups(module: nn.Module, weight_decay: float, decay_all: bool = True) -> list[dict]:
    """Parameter groups of a module, those with weight decay first.

    A slope that decays to 0 turns PReLU into ReLU (He et al. 2015, section 2.1): slopes never decay.

    Args:
        module: the trainable parameters are those that require gradients.
        weight_decay: of the others.
        decay_all: if False, BatchNorm's scales and shifts and all biases do not decay either.
    """
    slopes = {p for m in module.modules() if isinstance(m, LayerPReLU | ChannelPReLU) for p in m.parameters()}
    trainable = [p for p in module.parameters() if p.requires_grad]
    # Convolutions and fully connected layers have weights of two axes and more.
    decaying = {p for p in trainable if p not in slopes and (decay_all or p.ndim > 1)}
    groups = [
        {"params": [p for p in trainable if p in decaying], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p not in decaying], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class SGD(torch.optim.SGD):
    """torch's optimiser without the decorators that import torch's compiler, which takes longer than a second.

    They only keep the compiler away from these methods, and nothing here compiles them.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.SGD.zero_grad)
    state_dict = inspect.unwrap(torch.optim.SGD.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.SGD.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


def sgd(groups: list[dict], settings: DescentSettings) -> SGD:
    """The optimiser of parameter groups. Without momentum Nesterov's is plain descent, which torch refuses to call so."""
    nesterov = settings.nesterov and settings.momentum > 0
    return SGD(groups, settings.learning_rate, settings.momentum, nesterov=nesterov, fused=True)
