"""What it takes to build a network, in plain types; no torch."""

from dataclasses import asdict, dataclass

from sertk.options import option

STRIDES = (1, 2, 2, 2)
# How many numbers each pooling gives for a map; pooling.py has the modules.
POOLING_FACTORS = {"stats": 2, "mean": 1, "none": 1}
ACTIVATIONS = ("prelu", "prelu-channel", "relu")


@dataclass(frozen=True)
class NetworkSpec:
    """A network's shape; kept in the model file.

    Args:
        num_labels: outputs.
        bins: log-mel bins of the features.
        channels: channels of the first stage; each later one has twice its predecessor's.
        blocks: residual blocks in each of the four stages.
        pooling: "stats" (mean and deviation over frames), "mean" or "none" (flattened, chunks of `frames` only).
        embedding_dim: size of the fully connected layer before the output.
        activation: "prelu" (one slope a layer), "prelu-channel" or "relu".
        frames: chunk length of a network without pooling; 0 where any length will do.
    """

    num_labels: int
    bins: int = 128
    channels: int = option(32, "Channels of the first stage; each of the three others has twice as many.",
                           least=1, unset="32")  # fmt: skip
    blocks: tuple[int, ...] = option((3, 4, 6, 3), "Residual blocks of the four stages.", unset="3,4,6,3")
    pooling: str = option("stats", "Pooling over frames: mean and deviation, mean, or none (one chunk length).",
                          choices=tuple(POOLING_FACTORS), unset="stats")  # fmt: skip
    embedding_dim: int = option(256, "Size of the layer before the output.", least=1, unset="256")
    activation: str = option("prelu", "PReLU with one slope per layer or per channel, or ReLU.",
                             choices=ACTIVATIONS, unset="prelu")  # fmt: skip
    frames: int = 0

    def __post_init__(self) -> None:
        if len(self.blocks) != len(STRIDES):
            raise ValueError(f"blocks: wanted {len(STRIDES)} stages, found {len(self.blocks)}")
        if self.pooling not in POOLING_FACTORS or self.activation not in ACTIVATIONS:
            raise ValueError(f"no such pooling or activation: {self.pooling}, {self.activation}")
        if (self.pooling == "none") != (self.frames > 0):
            raise ValueError("a network without pooling, and no other, has a fixed number of frames")

    @property
    def pooled_dim(self) -> int:
        """Numbers that the pooling gives for a segment (the paper's network: 8192)."""
        maps = self.channels * 8 * after_strides(self.bins)
        return maps * POOLING_FACTORS[self.pooling] * (after_strides(self.frames) if self.frames else 1)

    def plain(self) -> dict:
        """The fields as plain types, for the model file."""
        return asdict(self) | {"blocks": list(self.blocks)}

    @classmethod
    def from_plain(cls, fields: dict) -> "NetworkSpec":
        """The spec that plain() gave."""
        return cls(**(fields | {"blocks": tuple(fields["blocks"])}))


@dataclass(frozen=True)
class HeadSpec:
    """A head alone: fully connected layers over vectors, whoever made them.

    Args:
        pooled_dim: numbers of a vector.
        num_labels: outputs.
        embedding_dim: size of the layer before the output.
        activation: of that layer: "prelu", "prelu-channel" or "relu".
    """

    pooled_dim: int
    num_labels: int
    embedding_dim: int = 256
    activation: str = "prelu"


def after_strides(size: int) -> int:
    """Bins or frames that are left of `size` after the trunk's three strides of two."""
    for stride in STRIDES:
        size = -(-size // stride)
    return size
