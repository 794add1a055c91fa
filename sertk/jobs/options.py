"""Options of the jobs beside the training settings. No torch."""

from dataclasses import dataclass
from pathlib import Path

from sertk.kaldi.specifiers import Rspecifier
from sertk.options import MAX_SKIP, option
from sertk.training.grid import CRITERIA, Grid


@dataclass(frozen=True)
class JobOptions:
    """Options that all training jobs share: targets, limits and hardware."""

    soft_labels: Path | None = option(
        None, "Train on each label's share of the raters' votes (lines of UTT RATER=LABEL,LABEL …) instead of the label."
        " Accuracy is still measured by the label.", kind="file", metavar="UTT2VOTES",
    )  # fmt: skip
    max_skip: float = MAX_SKIP
    device: str | None = None
    num_threads: int | None = None


@dataclass(frozen=True)
class TrainingOptions(JobOptions):
    """Options of train-resnet: what to start from, what to hold out, its folder."""

    init: Path | None = option(
        None, "Start from this model; if labels differ, its head is replaced.", kind="file", metavar="MODEL"
    )
    utt2fold: Path | None = option(None, "Folds of the segments, for --fold.", kind="file", metavar="FILE")
    fold: str | None = option(
        None, "Do not train on this fold; for each of several a network, in the DIR in which FOLD stands for it.",
        metavar="N,N,…|all",
    )  # fmt: skip
    checkpoint_every: float = option(10.0, "Interval of checkpoints within an epoch.", least=0, metavar="MINUTES")
    keep: int = option(
        0, "Keep the models of the last N epochs, as DIR/epoch.N.pt, for average-models.", least=0, metavar="N"
    )
    tensorboard: Path | None = option(
        None, "Also write TensorBoard events to this folder.", kind="folder", metavar="DIR"
    )
    restart: bool = option(False, "Start a new run; an old one is moved aside.")


@dataclass(frozen=True)
class HeadOptions(JobOptions):
    """Options of transfer-head: what to hold out, what selects the epoch, how to compute."""

    folds: tuple[str, ...] | None = option(
        None, "The folds to hold out, a head for each.", kind="names", metavar="N,N,…", unset="all"
    )
    stack: str = option(
        "auto", "Train heads of the same shape together, in batched matrix products: the same heads up to rounding; auto: on"
        " a GPU. On a CPU it is faster for small heads.", choices=("auto", "true", "false"),
    )  # fmt: skip
    eval_vectors: Rspecifier | None = option(
        None, "Vectors of whole segments for --select, --grid and --inner-scores, from embed-segments --at pool. With MODEL"
        " none: the training vectors themselves, if this is not given.",
        kind="rspecifier", metavar="RSPECIFIER",
    )  # fmt: skip
    aux: Rspecifier | None = option(
        None, "The head also takes the mean and deviation that normalisation removed from each segment, of cmvn-segment"
        " --stats. The resulting network takes features that are not normalised.",
        kind="rspecifier", metavar="VECTORS-RSPECIFIER",
    )  # fmt: skip
    pooling: str = option(
        "none", "Of draws of maps: none, which gives a network for segments of one length, or attentive, statistics with a"
        " learned weight for every frame, trained with the head.", choices=("none", "attentive"),
    )  # fmt: skip
    trained_on: str | None = option(
        None, "What the network behind the vectors was trained on, in words; 'nothing' for functionals and the like.",
        metavar="TEXT", unset="as the manifest of the vectors says, else unknown",
    )  # fmt: skip
    grid: Grid | None = option(
        None, "Choose settings from lines of --name=value,value…: each combination is scored with the other folds held out in"
        " turn; the best is trained on all of them.", kind="file", metavar="FILE",
    )  # fmt: skip
    grid_criterion: str = option(
        "ua", "Score that chooses: UA or WA of all inner folds together, or the mean of the folds' UA.", choices=CRITERIA,
    )  # fmt: skip
    inner_scores: bool = option(
        False, "Also write DIR/FOLD/inner.ark, scores of the training segments for fuse-scores --weights inner: each training"
        " fold's by a head without it.",
    )  # fmt: skip

    def stacked(self, device: str) -> bool:
        """Whether heads of the same shape are trained together on a device of this type."""
        return self.stack == "true" or (self.stack == "auto" and device == "cuda")


@dataclass(frozen=True)
class DrawOptions:
    """Options of embed-segments --draws.

    Args:
        num_epochs: draws of every version of a segment.
        at: "pool", "embedding" or "map".
        chunk_frames: chunk lengths, one drawn for each draw.
        augment: names of the mask policies, one a version.
        padding: see sertk.data.chunks.
        mask_scope: see sertk.data.chunks.
        seed: random seed.
        precision: "auto", "float32" or "bf16".
        device: "cpu", "cuda" or "cuda:N"; None: the GPU if there is one.
        num_threads: CPU threads; None: see runtime.prepare_cpu.
    """

    num_epochs: int
    at: str
    chunk_frames: tuple[int, ...]
    augment: tuple[str, ...]
    padding: str
    mask_scope: str
    seed: int = 0
    precision: str = "auto"
    device: str | None = None
    num_threads: int | None = None
