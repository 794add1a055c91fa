"""Training settings of networks and heads. Defaults are the paper's (Padi et al. 2021, section 4.2). No torch."""

from dataclasses import asdict, dataclass, fields

import numpy as np

from sertk.data.chunks import MASK_SCOPES, PADDINGS, ChunkRule
from sertk.data.masks import parse_policy
from sertk.data.sampler import Sampler
from sertk.options import option
from sertk.training.schedule import SCHEDULES, Rise, Schedule

LOSSES = ("softmax", "am", "aam")
# Fields of later versions, left out of the plain form at their defaults: runs of earlier ones are the same as before.
_ADDED = (
    "schedule", "final_learning_rate", "warmup_epochs", "nesterov", "decay_all", "loss", "margin", "margin_from", "margin_to",
    "inter_topk", "inter_topk_penalty",
)  # fmt: skip


@dataclass(frozen=True)
class DescentSettings:
    """Stochastic gradient descent, of a network or of a head."""

    seed: int = option(0, "Random seed.", least=0, most=2**63 - 1)
    epochs: int = option(20, "Passes over the segments.", least=1)
    batch_size: int = option(
        32, "Chunks per step, over all processes.", least=2, most=1 << 31, names=["--global-batch"]
    )
    learning_rate: float = option(0.01, "Initial learning rate.", above=0)
    schedule: str = option(
        "halving", "Learning rate: constant and then halved; or falling from batch to batch to the final one, by the same"
        " factor (exponential) or as a cosine.", choices=SCHEDULES,
    )  # fmt: skip
    hold_epochs: int = option(8, "Epochs before the learning rate is first halved (--schedule halving).", least=0)
    halve_every: int = option(2, "Epochs between halvings (--schedule halving).", least=1)
    final_learning_rate: float = option(
        0.0, "Learning rate at the end, of --schedule exponential and cosine.", above=0,
        unset="a thousandth of the initial one",
    )  # fmt: skip
    warmup_epochs: float = option(
        0.0, "Epochs in which the learning rate rises from 0, on top of the schedule.", least=0
    )
    momentum: float = option(0.9, "SGD momentum.", least=0, below=1)
    nesterov: bool = option(False, "Nesterov's momentum.")
    weight_decay: float = option(0.0, "Weight decay (not applied to PReLU slopes).", least=0)
    decay_all: bool = option(True, "Weight decay of BatchNorm and biases too.")
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

    def learning_rates(self) -> Schedule:
        """The learning rate of every step."""
        final = self.final_learning_rate or self.learning_rate / 1000
        return Schedule(self.schedule, self.learning_rate, self.epochs, self.hold_epochs, self.halve_every,
                        self.warmup_epochs, final)  # fmt: skip

    def plain(self) -> dict:
        """The fields as plain types, tuples as lists."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        added = {field.name: field.default for field in fields(self) if field.name in _ADDED}
        return {name: value for name, value in values.items() if name not in added or value != added[name]}

    def fingerprint(self) -> dict:
        """The plain form, with the number of epochs where the rates fall over all of them: such a run cannot get more."""
        return self.plain() | ({} if self.schedule == "halving" else {"schedule.epochs": self.epochs})


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
    loss: str = option(
        "softmax", "Cross-entropy of the softmax; or of cosines to the centre of each label, with a margin on the cosine (am) or"
        " the angle (aam) to that of the segment.", choices=LOSSES,
    )  # fmt: skip
    margin: float = option(0.2, "Margin; of aam in radians.", above=0, below=1.5, unset="0.2")
    margin_from: int = option(1, "Epoch in which the margin starts to rise from 0.", least=1, unset="1")
    margin_to: int = option(1, "Epoch from which it is constant.", least=1, unset="that of --margin-from")
    inter_topk: int = option(
        0, "Number of the most similar other labels that come nearer by a penalty.", least=0, unset="0"
    )
    inter_topk_penalty: float = option(
        0.06, "Their penalty at the largest margin, in proportion before.", above=0, below=1.5, unset="0.06"
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
        "auto", "Compile the network for each chunk length; fused: BatchNorm and activation in one pass over the maps (GPU);"
        " graphs: fused, and replayed as CUDA graphs; auto: what a measurement finds fastest, if the run is long.",
        choices=("auto", "true", "false", "fused", "graphs"),
    )  # fmt: skip
    sync_batchnorm: bool = option(False, "BatchNorm over the chunks of all processes, as in a single process.")

    def margins(self) -> Rise:
        """The margin of every step."""
        return Rise(self.margin, self.margin_from, max(self.margin_from, self.margin_to))

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
