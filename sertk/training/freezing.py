"""Which part of a network is trained: all of it, its head, or everything from a block on."""

import re
from dataclasses import dataclass

from torch import nn

from sertk.errors import SertkError
from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.resnet import ResNet


@dataclass(frozen=True)
class Freezing:
    """The layers of a network that keep their weights.

    Args:
        frozen: modules without gradients.
        batchnorm: theirs is in "eval" mode, with the statistics that it came with, or in "train" mode: it takes those
            of the batch and keeps a running mean of them, so that frozen weights meet a new domain normalised.
    """

    frozen: tuple[nn.Module, ...]
    batchnorm: str = "eval"

    def train_mode(self, network: ResNet) -> None:
        """Put the network in training mode, and what is frozen in its own."""
        network.train()
        for module in self.frozen:
            module.train(self.batchnorm == "train")


def freeze(network: ResNet, part: str, batchnorm: str = "eval") -> Freezing:
    """Freeze all but `part` of a network: "all", "head", or "from-block-N" with N from 1 (the trunk's first block).

    Raises:
        SertkError: where there is no such part.
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
            raise SertkError(f"--train {part}: wanted all, head or from-block-N with N from 1 to {blocks}")
        frozen = layers[: int(match[1])]
    for module in frozen:
        module.requires_grad_(False)
    return Freezing(tuple(frozen), batchnorm)


def parameter_groups(network: ResNet, learning_rate: float, trunk_scale: float, weight_decay: float) -> list[dict]:
    """What is trained, as an optimiser's groups: `scale` says what part of the schedule's rate a group gets."""
    return [
        group | {"lr": learning_rate * scale, "scale": scale}
        for part, scale in ((network.trunk, trunk_scale), (network.head, 1.0))
        for group in decay_groups(part, weight_decay)
    ]


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """What is trained of `module`, as an optimiser's groups: all with `weight_decay` but the slopes of PReLU.

    A slope that is decayed to 0 would make a ReLU of it (He et al. 2015, section 2.1).
    """
    slopes = {p for m in module.modules() if isinstance(m, LayerPReLU | ChannelPReLU) for p in m.parameters()}
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p not in slopes], "weight_decay": weight_decay},
        {"params": [p for p in trained if p in slopes], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
