"""A head on vectors of any origin: standardisation, weighted sum of layers, fully connected layers; no trunk."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from sertk.errors import SertkError
from sertk.models.resnet import Head
from sertk.models.spec import HeadSpec

# Rows that are computed together.
TOGETHER = 4096


class VectorHead(Head):
    """A head that standardises its input; with layers, it averages them with trained weights (their softmax).

    Shape:
        - Input: (batch, spec.input_dim); layers side by side
        - Output: (batch, num_labels), logits

    Example:
        >>> head = VectorHead(HeadSpec(pooled_dim=2, num_labels=3, embedding_dim=0, layers=4)).eval()
        >>> head(torch.zeros(5, 8)).shape, head.layer_weights().tolist()
        (torch.Size([5, 3]), [0.25, 0.25, 0.25, 0.25])
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        self.spec = spec
        self.register_buffer("mean", torch.zeros(spec.input_dim))
        self.register_buffer("scale", torch.ones(spec.input_dim))
        self.layers = nn.Parameter(torch.zeros(spec.layers)) if spec.layers else None

    def embed(self, pooled: Tensor) -> Tensor:
        """The embedding of vectors that are not standardised yet. Shape: (batch, input_dim) -> (batch, embedding_dim)."""
        normal = (pooled - self.mean).mul_(self.scale)
        if self.layers is not None:
            layers = normal.unflatten(1, (self.spec.layers, self.spec.pooled_dim))
            normal = torch.einsum("l,bld->bd", self.layers.softmax(dim=0), layers)
        return super().embed(normal)

    def layer_weights(self) -> Tensor | None:
        """Weight of each layer, of sum 1; None without layers."""
        return None if self.layers is None else self.layers.detach().softmax(dim=0)

    def rows(self, matrix: np.ndarray) -> np.ndarray:
        """Arrange a table's value as inputs: rows are draws, or with layers one input.

        Args:
            matrix: (dim,), (draws, dim) or (layers, dim).

        Returns:
            (inputs, input_dim).

        Raises:
            SertkError: it has another size.
        """
        spec = self.spec
        wanted = f"{spec.layers} × {spec.pooled_dim}" if spec.layers else f"{spec.pooled_dim} numbers a row"
        matrix = np.atleast_2d(matrix)
        if matrix.shape[1] != spec.pooled_dim or (spec.layers and len(matrix) != spec.layers):
            raise SertkError(f"{matrix.shape[0]} × {matrix.shape[1]}, this head takes {wanted}")
        return matrix.reshape(1, -1) if spec.layers else matrix


def posteriors(head: Head, rows: Tensor, counts: Tensor) -> Tensor:
    """Probabilities of segments: the mean over the rows of each.

    Args:
        head: in evaluation mode.
        rows: (rows, dim), those of a segment together.
        counts: (segments,) rows of each segment, on the same device.

    Shape: (rows, dim) -> (segments, num_labels), float32
    """
    with torch.no_grad():
        each = torch.cat([head(part).softmax(dim=1) for part in rows.split(TOGETHER)])
    if len(counts) == len(rows):
        return each
    owner = torch.repeat_interleave(torch.arange(len(counts), device=rows.device), counts)
    sums = torch.zeros(len(counts), each.shape[1], device=rows.device).index_add_(0, owner, each)
    return sums / counts[:, None]


def on_vectors(
    head: VectorHead, segments: Iterable[tuple[str, np.ndarray]], device: torch.device
) -> Iterator[tuple[str, np.ndarray]]:
    """Posteriors of segments.

    Args:
        head: moved to the device.
        segments: (key, (rows, dim)), arranged by VectorHead.rows.
        device: where to compute.

    Yields:
        (key, (labels,) float32), the mean over the rows.
    """
    head = head.to(device).eval()
    for key, value in segments:
        rows = torch.from_numpy(np.ascontiguousarray(value, np.float32)).to(device)
        yield key, posteriors(head, rows, torch.tensor([len(rows)], device=device))[0].cpu().numpy()
