"""Margin losses: the logits of a cosine classifier, made harder before the cross-entropy."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Keeps the gradient of the sine finite where an embedding points at a centre.
EPSILON = 1e-7


@dataclass(frozen=True)
class MarginLoss:
    """What a loss does to the logits of a cosine classifier (sertk.models.cosine), s cos θ of angles θ to the centres.

    "am" subtracts the margin from the cosine of the segment's label, s (cos θ - m) (Wang et al. 2018); "aam" adds it to the
    angle, s cos(θ + m) (Deng et al. 2019), and beyond θ + m = π has the slope of the cosine itself, so that it falls
    everywhere, s (cos θ - (1 - cos m)), as in wespeaker. "softmax" does nothing, to any logits.

    With an inter-top-k penalty p the most similar other labels come nearer by it: s (cos θ + p) or s cos(θ - p) (Zhao et
    al. 2022).

    Args:
        kind: "softmax", "am" or "aam".
        margin: at its largest; the penalty is in proportion to that of the step.
        scale: of the classifier.
        top_k: labels with a penalty; 0: none.
        penalty: of these labels, at the largest margin.

    Example:
        >>> cosines = torch.tensor([[0.6, 0.8, 0.0]])
        >>> MarginLoss("am", 0.2, scale=10.0)(10 * cosines, torch.tensor([0]), 0.2)
        tensor([[4., 8., 0.]])
        >>> MarginLoss("aam", 0.2, 10.0)(10 * cosines, torch.tensor([0]), 0.2).round(decimals=3)
        tensor([[4.2910, 8.0000, 0.0000]])
    """

    kind: str = "softmax"
    margin: float = 0.2
    scale: float = 32.0
    top_k: int = 0
    penalty: float = 0.06

    def __call__(self, logits: Tensor, labels: Tensor, margin: float) -> Tensor:
        """The logits that the cross-entropy is computed of.

        Args:
            logits: (segments, labels) float32.
            labels: (segments,) indices.
            margin: of this step.
        """
        if self.kind == "softmax" or not margin:
            return logits
        own = labels[:, None]
        harder = self._nearer(logits.gather(1, own), -margin)
        if self.top_k:
            others = logits.scatter(1, own, -math.inf).topk(self.top_k, dim=1).indices
            nearer = self._nearer(logits.gather(1, others), self.penalty * margin / self.margin)
            logits = logits.scatter(1, others, nearer)
        return logits.scatter(1, own, harder)

    def _nearer(self, logits: Tensor, by: float) -> Tensor:
        """Logits of centres as if these were nearer by `by`, or farther if it is negative."""
        if self.kind == "am":
            return logits + self.scale * by
        cosines = logits / self.scale
        sines = (1 - cosines.square()).clamp(min=EPSILON).sqrt()
        moved = cosines * math.cos(by) + sines * math.sin(by)
        if by < 0:
            moved = torch.where(cosines > -math.cos(by), moved, cosines - (1 - math.cos(by)))
        return self.scale * moved
