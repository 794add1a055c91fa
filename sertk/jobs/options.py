"""What the jobs can be told beside how to train; no torch."""

from dataclasses import dataclass
from pathlib import Path

from sertk.options import MAX_SKIP, option


@dataclass(frozen=True)
class TrainingOptions:
    """A training of train-resnet beside its settings: what it starts from, what is held out, its folder."""

    init: Path | None = option(None, "Start from this model; where labels differ its head is new.", kind="file",
                               metavar="MODEL")  # fmt: skip
    utt2fold: Path | None = option(None, "Folds of the segments, for --fold.", kind="file", metavar="FILE")
    fold: str | None = option(None, "Do not train on this fold.", metavar="N")
    soft_labels: Path | None = option(
        None, "Learn each label's share of the raters' votes (lines of UTT RATER=LABEL,LABEL …) instead of the label."
        " Accuracy is by the label still.", kind="file", metavar="UTT2VOTES")  # fmt: skip
    checkpoint_every: float = option(10.0, "Checkpoint inside an epoch too: a kill loses no more than this.", least=0,
                                     metavar="MINUTES")  # fmt: skip
    keep: int = option(0, "Keep the models of the last N epochs, as DIR/epoch.N.pt, for average-models.", least=0,
                       metavar="N")  # fmt: skip
    tensorboard: Path | None = option(
        None, "Write the epochs' figures for TensorBoard too.", kind="folder", metavar="DIR"
    )
    restart: bool = option(False, "Start a new run; an old one is moved aside.")
    max_skip: float = MAX_SKIP
    device: str | None = None
    num_threads: int | None = None
