"""What a network is to give its training segments: their labels, or the raters' votes on them, weighted by label or not."""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sertk.datadir.votes import read_votes, vote_shares
from sertk.errors import SertkError
from sertk.scoring.folds import read_scheme
from sertk.training.labelling import Labelling

log = logging.getLogger("sertk")


@dataclass(frozen=True)
class Targets:
    """The targets of some segments.

    Args:
        labels: (segments,) indices of their labels. What is recognised is counted by these.
        shares: (segments, labels) float32 of sum 1, what the loss compares with; None: the label alone.
        weights: (labels,) float32, of each label in the loss; None: all are 1.
    """

    labels: Tensor
    shares: Tensor | None = None
    weights: Tensor | None = None

    def to(self, device: torch.device) -> "Targets":
        return Targets(*(None if tensor is None else tensor.to(device) for tensor in vars(self).values()))

    def of(self, segments: Tensor | np.ndarray) -> "Targets":
        """The targets of these segments (indices)."""
        shares = None if self.shares is None else self.shares[segments]
        return Targets(self.labels[segments], shares, self.weights)

    def balanced(self, num_labels: int, segments: Tensor | np.ndarray | slice = slice(None)) -> "Targets":
        """The same with weights in inverse proportion to how much of these segments each label is.

        The mean weight over them is 1, so that the loss stays comparable. A label that none of them has weighs nothing.

        Example:
            >>> Targets(torch.tensor([0, 0, 0, 2])).balanced(3).weights
            tensor([0.6667, 0.0000, 2.0000])
        """
        chosen = self.of(segments)
        if chosen.shares is None:
            amount = torch.bincount(chosen.labels, minlength=num_labels).double()
        else:
            amount = chosen.shares.sum(dim=0, dtype=torch.float64)
        there = amount > 0
        weights = torch.where(there, amount.sum() / (there.sum() * amount.clamp(min=1e-12)), 0.0)
        return replace(self, weights=weights.float())

    def loss(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """The summed cross-entropy of the segments' logits (segments, labels), of which `smoothing` is to all labels."""
        wanted = self.labels if self.shares is None else self.shares
        return functional.cross_entropy(logits, wanted, self.weights, reduction="sum", label_smoothing=smoothing)

    def correct(self, logits: Tensor) -> Tensor:
        """How many segments are recognised."""
        return (logits.argmax(dim=1) == self.labels).sum()

    def mark(self) -> str | None:
        """A fingerprint of the shares."""
        return None if self.shares is None else hashlib.sha256(self.shares.cpu().numpy().tobytes()).hexdigest()[:16]


def targets_of(keys: list[str], labelling: Labelling, utt2label: Path, votes: Path | None = None) -> Targets:
    """The targets of segments: their labels, or with `votes` (a utt2votes) each label's share of the raters' votes.

    The raters' labels are those of the data folder: the label map in the scheme.json beside `utt2label` makes
    classes of them, and votes for others are left out. A segment without a vote for any class has its label.

    Raises:
        SertkError: where no segment has a vote.
    """
    labels = torch.tensor([labelling.index(key) for key in keys])
    if votes is None:
        return Targets(labels)
    said, label_map = read_votes(votes), read_scheme(utt2label).get("label_map")
    found = [vote_shares(said.get(key, []), labelling.labels, label_map) for key in keys]
    without = sum(share is None for share in found)
    if without == len(keys):
        raise SertkError(f"{votes}: none of {len(keys)} segments has a vote for {' '.join(labelling.labels)}")
    log.info("%s: %d of %d segments have no vote for %s and keep their label", votes, without, len(keys),
             " ".join(labelling.labels))  # fmt: skip
    hard = np.eye(len(labelling.labels))[labels.numpy()]
    shares = np.array([alone if share is None else share for share, alone in zip(found, hard)], dtype=np.float32)
    return Targets(labels, torch.from_numpy(shares))
