"""What it takes to build a network, in plain types; no torch."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sertk.options import option

STRIDES = (1, 2, 2, 2)
# How many numbers each pooling gives for a map; pooling.py has the modules.
POOLING_FACTORS = {"stats": 2, "attentive": 2, "mean": 1, "none": 1}
ACTIVATIONS = ("prelu", "prelu-channel", "relu")
DEVIATIONS = ("population", "unbiased")
# Keeps the deviation's gradient finite where a channel is constant; small beside the unit variances that BatchNorm leaves.
POOLING_EPSILON = 1e-5
OUTPUTS = ("linear", "cosine")
# Properties that options set, those of a margin loss's classifier apart; the others follow from labels and features.
NETWORK_OPTIONS = ("channels", "blocks", "pooling", "embedding_dim", "activation", "input_norm")
CLASSIFIER_OPTIONS = ("scale", "subcentres")
# What few networks have: left out of the plain form at its default, so that it is the same as before.
_RARE = (
    "deviation", "pooling_epsilon", "hidden_dim", "embedding_norm", "input_norm", "level_input", "output", "scale", "subcentres",
)  # fmt: skip


@dataclass(frozen=True)
class NetworkSpec:
    """A network's shape; kept in the model file.

    Args:
        num_labels: outputs; 0 for an imported network, which ends with its embedding.
        bins: log-mel bins of the features.
        channels: channels of the first stage; each later one has twice its predecessor's.
        blocks: residual blocks in each of the four stages.
        pooling: "stats" (mean and deviation over frames), "attentive" (the same with a learned weight for each frame), "mean"
            or "none" (flattened, chunks of `frames` only).
        embedding_dim: size of the fully connected layer before the output.
        activation: "prelu" (one slope a layer), "prelu-channel" or "relu".
        frames: chunk length of a network without pooling; 0 where any length will do.
        deviation: of pooling "stats": "population" (divided by the frames) or "unbiased" (by one less).
        pooling_epsilon: added to the variance before the square root.
        hidden_dim: size of a fully connected layer with activation before the embedding; 0: there is none.
        embedding_norm: the embedding has a BatchNorm.
        input_norm: the trunk normalises features by the mean and deviation of the training segments.
        level_input: the network normalises each segment of features that are not normalised, and its head also takes the mean
            and deviation of every bin that this removes.
        output: "linear", or "cosine": scaled cosines between the embedding, without activation, and a centre for each label.
        scale: of the cosines.
        subcentres: centres for each label, of which the nearest counts.
    """

    num_labels: int
    bins: int = 128
    channels: int = option(32, "Channels of the first stage; doubled in each of the three next ones.",
                           least=1, unset="32")  # fmt: skip
    blocks: tuple[int, ...] = option((3, 4, 6, 3), "Residual blocks of the four stages.", unset="3,4,6,3")
    pooling: str = option("stats", "Pooling over frames: mean and deviation, the same with learned weights of the frames, mean,"
                          " or none (one chunk length).",
                          choices=tuple(POOLING_FACTORS), unset="stats")  # fmt: skip
    embedding_dim: int = option(256, "Size of the layer before the output.", least=1, unset="256")
    activation: str = option("prelu", "PReLU with one slope per layer or per channel, or ReLU.",
                             choices=ACTIVATIONS, unset="prelu")  # fmt: skip
    frames: int = 0
    deviation: str = "population"
    pooling_epsilon: float = POOLING_EPSILON
    hidden_dim: int = 0
    embedding_norm: bool = True
    input_norm: bool = option(False, "For features without cmvn-segment: normalise every bin by its mean and deviation over"
                              " the training segments, which the model keeps; with --init in place of its own.",
                             unset="false")  # fmt: skip
    level_input: bool = False
    output: str = "linear"
    scale: float = option(32.0, "Factor of the cosines in the logits of a margin loss.", above=0, unset="32")
    subcentres: int = option(1, "Centres of each label under a margin loss; the nearest counts.", least=1, unset="1")

    def __post_init__(self) -> None:
        if len(self.blocks) != len(STRIDES):
            raise ValueError(f"blocks: expected {len(STRIDES)} stages, found {len(self.blocks)}")
        if self.pooling not in POOLING_FACTORS or self.activation not in ACTIVATIONS:
            raise ValueError(f"no such pooling or activation: {self.pooling}, {self.activation}")
        if self.deviation not in DEVIATIONS or self.pooling_epsilon < 0:
            raise ValueError(f"no such deviation: {self.deviation}, epsilon {self.pooling_epsilon:g}")
        if self.output not in OUTPUTS or self.scale <= 0 or self.subcentres < 1:
            raise ValueError(f"no such output: {self.output}, scale {self.scale:g}, {self.subcentres} sub-centres")
        if (self.pooling == "none") != (self.frames > 0):
            raise ValueError("a network without pooling, and no other, has a fixed number of frames")
        if self.level_input and (self.frames or self.input_norm):
            raise ValueError("level_input is for networks with pooling that take normalised segments")

    @property
    def pooled_dim(self) -> int:
        """Numbers that the pooling gives for a segment (the paper's network: 8192), and `removed_dim`: the head's input."""
        maps = self.channels * 8 * after_strides(self.bins)
        pooled = maps * POOLING_FACTORS[self.pooling] * (after_strides(self.frames) if self.frames else 1)
        return pooled + self.removed_dim

    @property
    def removed_dim(self) -> int:
        """Numbers of the mean and deviation that normalisation removes, where the head takes them."""
        return 2 * self.bins if self.level_input else 0

    def plain(self) -> dict:
        """The fields as plain types, for the model file."""
        usual = {field.name: field.default for field in fields(self) if field.name in _RARE}
        plain = asdict(self) | {"blocks": list(self.blocks)}
        return {name: value for name, value in plain.items() if name not in usual or value != usual[name]}

    def with_new_head(self, num_labels: int, **changed: Any) -> "NetworkSpec":
        """The same trunk under a head of sertk's own: one fully connected layer with BatchNorm before a linear output."""
        usual = {"hidden_dim": 0, "embedding_norm": True, "output": "linear", "scale": 32.0, "subcentres": 1}
        return replace(self, num_labels=num_labels, **(usual | changed))

    @classmethod
    def from_plain(cls, fields: dict) -> "NetworkSpec":
        """The spec that plain() returned."""
        return cls(**(fields | {"blocks": tuple(fields["blocks"])}))


@dataclass(frozen=True)
class HeadSpec:
    """A head alone: fully connected layers over vectors of any origin.

    Args:
        pooled_dim: numbers of a vector.
        num_labels: outputs.
        embedding_dim: size of the layer before the output; 0: the output follows at once (multinomial logistic regression).
        activation: of that layer: "prelu", "prelu-channel" or "relu".
        hidden_dim: size of a layer with activation before it; 0: there is none.
        embedding_norm: the embedding has a BatchNorm.
        layers: vectors that are averaged with trained weights before all this (an encoder's layers); 0: there is one only.
    """

    pooled_dim: int
    num_labels: int
    embedding_dim: int = 256
    activation: str = "prelu"
    hidden_dim: int = 0
    embedding_norm: bool = True
    layers: int = 0

    @property
    def input_dim(self) -> int:
        """Numbers of a segment's vector, all layers side by side."""
        return self.pooled_dim * max(self.layers, 1)

    def plain(self) -> dict:
        """The fields as plain types, for the model file."""
        return asdict(self)

    @classmethod
    def from_plain(cls, fields: dict) -> "HeadSpec":
        """The spec that plain() returned."""
        return cls(**fields)


def after_strides(size: int, stages: int = len(STRIDES)) -> int:
    """Bins or frames that are left of `size` after the strides of the trunk's first stages: three of two in all four."""
    for stride in STRIDES[:stages]:
        size = -(-size // stride)
    return size


def places(at: str) -> list[int]:
    """The stages whose pooled maps are asked for, from 1; [] for other outputs, the plain "pool" among them.

    Example:
        >>> places("stage3,stage4"), places("stage1"), places("pool")
        ([3, 4], [1], [])
    """
    names = {f"stage{number}": number for number in range(1, len(STRIDES) + 1)}
    words = at.split(",")
    return [names[word] for word in words] if set(words) <= names.keys() else []


def stages_dim(spec: "NetworkSpec", numbers: list[int]) -> int:
    """Numbers of the pooled maps of some stages, side by side."""
    factor = POOLING_FACTORS[stage_pooling(spec).pooling]
    return sum(factor * (spec.channels << number - 1) * after_strides(spec.bins, number) for number in numbers)


def stage_pooling(spec: "NetworkSpec") -> "NetworkSpec":
    """The spec whose pooling is that of a network's stages: mean and deviation, unless the network's is the mean."""
    return spec if spec.pooling == "mean" else replace(spec, pooling="stats", frames=0)
