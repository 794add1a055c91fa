"""Training settings of networks and heads. Defaults are the paper's (Padi et al. 2021, section 4.2). No torch."""

from dataclasses import asdict, dataclass

import numpy as np

from sertk.data.chunks import MASK_SCOPES, PADDINGS, ChunkRule
from sertk.data.masks import parse_policy
from sertk.data.sampler import Sampler
from sertk.options import option
from sertk.training.schedule import HalvingSchedule


@dataclass(frozen=True)
class DescentSettings:
    """Stochastic gradient descent, of a network or of a head."""

    seed: int = option(0, "Random seed.", least=0, most=2**63 - 1)
    epochs: int = option(20, "Passes over the segments.", least=1)
    batch_size: int = option(
        32, "Chunks per step, over all processes.", least=2, most=1 << 31, names=["--global-batch"]
    )
    learning_rate: float = option(0.01, "Initial learning rate.", above=0)
    hold_epochs: int = option(8, "Epochs before the learning rate is first halved.", least=0)
    halve_every: int = option(2, "Epochs between halvings.", least=1)
    momentum: float = option(0.9, "SGD momentum.", least=0, below=1)
    weight_decay: float = option(0.0, "Weight decay (not applied to PReLU slopes).", least=0)
    label_smoothing: float = option(0.0, "Fraction of the target spread over all labels.", least=0, below=1)
    class_weights: str = option(
        "none", "Loss weight of a segment: 1, or more for rarer labels (1 on average).",
        choices=("none", "balanced"),
    )  # fmt: skip
    sampling: str = option(
        "natural", "Segments of an epoch: each once, or the same number with all labels equally often.",
        choices=("natural", "balanced"),
    )  # fmt: skip
    select: str = option(
        "last", "Model selection: the last epoch, or the one with the best UA on whole segments of the next fold, which is"
        " not trained on either (dev-session), or of the held-out fold itself (oracle: its scores are stamped LEAKY).",
        choices=("last", "dev-session", "oracle"),
    )  # fmt: skip

    def schedule(self) -> HalvingSchedule:
        """The learning rate schedule."""
        return HalvingSchedule(self.learning_rate, self.hold_epochs, self.halve_every)


@dataclass(frozen=True)
class HeadSettings(DescentSettings):
    """A head and its training on draws or vectors; `versions` is the number of rows of a segment in an epoch."""

    versions: int = 3
    embedding_dim: int | None = option(
        None, "Size of the layer before the output; 0: none, a linear classifier.", kind="size", metavar="N",
        unset="that of MODEL; 256 without",
    )  # fmt: skip
    layer_weights: bool = option(
        False, "Rows of a matrix are an encoder's layers: train a weighted sum of them (softmax) before the head.",
    )  # fmt: skip


@dataclass(frozen=True)
class TrainingSettings(DescentSettings):
    """Training of a network on chunks."""

    chunk_frames: tuple[int, ...] = option((150, 200, 250, 300), "Chunk lengths; one is drawn for each batch.")
    augment: tuple[str, ...] = option(
        ("none", "conservative", "aggressive"), "Versions of each segment in an epoch: none (no masks), conservative,"
        " aggressive, or F:W:p:Nf:Nt (widest mask in bins, in frames and as a fraction of the chunk; number over bins and over"
        " frames).", kind="policies",
    )  # fmt: skip
    copies: int = option(1, "Chunks of each version in an epoch.", least=1)
    padding: str = option("repeat", "Padding of a segment that is shorter than the chunk.", choices=PADDINGS)
    mask_scope: str = option(
        "chunk", "Draw masks over the chunk, or over the segment before it is cut.", choices=MASK_SCOPES
    )
    train: str = option(
        "all",
        "Layers to train; from-block-N: blocks N (from 1) to the last, and the head.",
        metavar="all|head|from-block-N",
    )
    frozen_batchnorm: str = option(
        "eval", "BatchNorm of frozen layers: the statistics of the initial network (eval), or each batch's (train).",
        choices=("eval", "train"),
    )  # fmt: skip
    trunk_scale: float = option(
        1.0, "Factor of the trunk's learning rate.", above=0, names=["--trunk-lr-scale"], unset="1; with --init 0.1"
    )
    precision: str = option(
        "auto", "Number format of the computation; auto: bf16 if the hardware computes in it, else float32.",
        choices=("auto", "float32", "bf16"),
    )  # fmt: skip
    compile: str = option(
        "auto", "Compile the network for each chunk length; auto: for bf16 runs long enough to save time.",
        choices=("auto", "true", "false"),
    )  # fmt: skip
    sync_batchnorm: bool = option(False, "BatchNorm over the chunks of all processes, as in a single process.")

    def plain(self) -> dict:
        """The fields as plain types, tuples as lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def chunk_rule(self, mean: np.ndarray | None = None) -> ChunkRule:
        """How chunks are cut and masked.

        Args:
            mean: (bins,) of features that are not normalised (Trunk.mean_input).
        """
        policies = tuple(parse_policy(name) for name in self.augment)
        return ChunkRule(self.seed, policies, self.padding, self.mask_scope, mean)

    def sampler(self, num_segments: int, labels: np.ndarray | None = None) -> Sampler:
        """The sampler of an epoch's batches.

        Args:
            num_segments: training segments.
            labels: (segments,) integers, for balanced sampling; without them only the batch sizes are right.
        """
        classes = labels if self.sampling == "balanced" else None
        return Sampler(
            self.seed, num_segments, len(self.augment), self.copies, self.batch_size, self.chunk_frames, classes
        )
