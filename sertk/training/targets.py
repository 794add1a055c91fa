"""Training targets: hard labels or rater votes, with optional class weights."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Targets:
    """The targets of some segments.

    Args:
        labels: (segments,) indices of their labels; accuracy is measured by these.
        shares: (segments, labels) float32, each label's share of the raters' votes, of sum 1; None: hard labels.
        weights: (labels,) float32, weight of each label in the loss; None: all are 1.
    """

    labels: Tensor
    shares: Tensor | None = None
    weights: Tensor | None = None

    def to(self, device: torch.device) -> "Targets":
        """Copy the targets to a device."""
        return Targets(*(None if tensor is None else tensor.to(device) for tensor in vars(self).values()))

    def of(self, segments: Tensor | np.ndarray) -> "Targets":
        """Select the targets of segments, given by their indices."""
        shares = None if self.shares is None else self.shares[segments]
        return Targets(self.labels[segments], shares, self.weights)

    def balanced(self, num_labels: int, segments: Tensor | np.ndarray | slice = slice(None)) -> "Targets":
        """Weight labels in inverse proportion to their frequency, 1 on average so that the loss stays comparable.

        Args:
            num_labels: labels of the task.
            segments: indices of the segments that are counted. A label that none of them has gets weight 0.

        Example:
            >>> Targets(torch.tensor([0, 0, 0, 2])).balanced(3).weights
            tensor([0.6667, 0.0000, 2.0000])
        """
        counted = self.of(segments)
        if counted.shares is None:
            counts = torch.bincount(counted.labels, minlength=num_labels).double()
        else:
            counts = counted.shares.sum(dim=0, dtype=torch.float64)
        present = counts > 0
        weights = torch.where(present, counts.sum() / (present.sum() * counts.clamp(min=1e-12)), 0.0)
        return replace(self, weights=weights.float())

    def loss(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy, summed over the segments.

        Args:
            logits: (segments, labels).
            smoothing: part of the target that is spread evenly over all labels.
        """
        target = self.labels if self.shares is None else self.shares
        return functional.cross_entropy(logits, target, self.weights, reduction="sum", label_smoothing=smoothing)

    def distributions(self, num_labels: int, smoothing: float = 0.0) -> Tensor:
        """What the loss is linear in: `loss(logits)` is the sum of -distributions * logits.log_softmax(dim=1).

        Args:
            num_labels: labels of the task.
            smoothing: as in loss.

        Shape: (segments, num_labels), float32

        Example:
            >>> Targets(torch.tensor([1, 0]), weights=torch.tensor([1.0, 3.0])).distributions(2, 0.2)
            tensor([[0.1000, 2.7000],
                    [0.9000, 0.3000]])
        """
        shares = functional.one_hot(self.labels, num_labels).float() if self.shares is None else self.shares
        smoothed = shares * (1 - smoothing) + smoothing / num_labels
        return smoothed if self.weights is None else smoothed * self.weights

    def correct(self, logits: Tensor) -> Tensor:
        """Number of correctly classified segments."""
        return (logits.argmax(dim=1) == self.labels).sum()

    def fingerprint(self) -> str | None:
        """Digest of the vote shares, None for hard labels."""
        return None if self.shares is None else hashlib.sha256(self.shares.cpu().numpy().tobytes()).hexdigest()[:16]
