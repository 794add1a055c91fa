"""Training draws of a frozen trunk: what it gives for the chunks of every epoch, computed once for all folds.

With the trunk frozen and its BatchNorm in evaluation mode, what it gives for a chunk depends on neither fold, label
set nor head: one pass serves them all. Row e * versions + v of a segment's matrix belongs to version v in epoch
e + 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from sertk.data.chunks import ChunkRule
from sertk.data.loader import prefetch
from sertk.data.store import Store
from sertk.models.fuse import for_evaluation
from sertk.models.inference import output
from sertk.models.resnet import ResNet
from sertk.runs.preemption import Stopped

# Segments whose chunks are sorted by length together, and chunks that the trunk is given at once.
WINDOW = {"cpu": 4, "cuda": 16}
BATCH = {"cpu": 16, "cuda": 256}


@dataclass(frozen=True)
class DrawPlan:
    """Which chunks of a segment are passed.

    Args:
        rule: how a chunk is cut and masked.
        num_epochs: draws of every version.
        chunk_frames: T is drawn from these for every row: after pooling a head cannot tell a batch of one T from a
            batch of many.
    """

    rule: ChunkRule
    num_epochs: int
    chunk_frames: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of a segment's matrix."""
        return self.num_epochs * len(self.rule.policies)

    def chunk(self, segment, row: int) -> np.ndarray:
        """The chunk of a row. Shape: (T, bins), float32."""
        epoch, version = divmod(row, len(self.rule.policies))
        draws = self.rule.draws(segment.key, epoch + 1, version)
        out = np.empty((draws.choice(self.chunk_frames), segment.bins), np.float32)
        self.rule.cut(segment, draws, version, len(out), out)
        return out


def draw_vectors(network: ResNet, store: Store, plan: DrawPlan, at: str, device: torch.device,
                 precision: str = "float32", first: int = 0, stop=False) -> Iterator[tuple[str, np.ndarray]]:  # fmt: skip
    """What the frozen network gives for the draws of every segment.

    Args:
        network: stays as it is; what computes is its copy for evaluation.
        at: "pool", "embedding" or "map" (of chunks of one length).
        first: the segment to begin at; a multiple of the device's WINDOW gives the same bytes as beginning at 0.
        stop: when it becomes true, the pass ends.

    Yields:
        (key, (rows, dim) float32) in the store's order.

    Raises:
        Stopped: when `stop` became true.
    """
    window = WINDOW[device.type]
    network = for_evaluation(network, device, precision)
    starts = range(first, len(store), window)
    for start, batches in prefetch(
        lambda at: (at, _window(store, plan, at, window, BATCH[device.type])), starts, depth=2
    ):
        vectors: dict[tuple[int, int], np.ndarray] = {}
        for places, chunks in batches:
            if stop:
                raise Stopped(f"after {start} of {len(store)} segments")
            out = output(network, torch.from_numpy(chunks).to(device).transpose(1, 2), None, at)
            vectors.update(zip(places, out.cpu().numpy()))
        for index in range(start, min(start + window, len(store))):
            yield store.keys[index], np.stack([vectors[index, row] for row in range(plan.rows)])


def _window(store, plan, start, window, batch_size) -> list[tuple[tuple, np.ndarray]]:
    """The chunks of a window of segments as batches of one length: (places, (batch, T, bins))."""
    by_length: dict[int, list] = {}
    for index in range(start, min(start + window, len(store))):
        segment = store[index]
        for row in range(plan.rows):
            chunk = plan.chunk(segment, row)
            by_length.setdefault(len(chunk), []).append(((index, row), chunk))
    batches = []
    for _, made in sorted(by_length.items()):
        for at in range(0, len(made), batch_size):
            places, chunks = zip(*made[at : at + batch_size])
            batches.append((places, np.stack(chunks)))
    return batches
