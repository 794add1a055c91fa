"""Training draws of a frozen trunk: its outputs for the chunks of every epoch, computed once for all folds.

With the trunk frozen and its BatchNorm in evaluation mode, its output for a chunk depends on neither fold, label set
nor head: one pass serves them all. Row e * versions + v of a segment's matrix belongs to version v in epoch e + 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from sertk.data.chunks import ChunkRule
from sertk.data.loader import prefetch
from sertk.data.store import Segment, Store
from sertk.models.fuse import for_evaluation
from sertk.models.inference import output
from sertk.models.resnet import ResNet
from sertk.training.progress import Stopped, StopRequested, never

# Segments whose chunks are sorted by length together, and chunks of a forward pass.
WINDOW = {"cpu": 4, "cuda": 16}
BATCH = {"cpu": 16, "cuda": 256}

# (segment, row) of a chunk.
Place = tuple[int, int]


@dataclass(frozen=True)
class DrawPlan:
    """Which chunks of a segment are passed through the trunk.

    Args:
        rule: how a chunk is cut and masked.
        num_epochs: draws of every version.
        chunk_frames: chunk lengths T. One is drawn for every row: after pooling a head cannot tell a batch of one T from a
            batch of many.
    """

    rule: ChunkRule
    num_epochs: int
    chunk_frames: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of a segment's matrix."""
        return self.num_epochs * len(self.rule.policies)

    def chunk(self, segment: Segment, row: int) -> np.ndarray:
        """Cut and mask the chunk of a row. Shape: (T, bins), float32."""
        epoch, version = divmod(row, len(self.rule.policies))
        draws = self.rule.draws(segment.key, epoch + 1, version)
        out = np.empty((draws.choice(self.chunk_frames), segment.bins), np.float32)
        self.rule.cut(segment, draws, version, len(out), out)
        return out


def draw_vectors(
    network: ResNet,
    store: Store,
    plan: DrawPlan,
    at: str,
    device: torch.device,
    precision: str = "float32",
    first: int = 0,
    stop_requested: StopRequested = never,
) -> Iterator[tuple[str, np.ndarray]]:
    """Pass the draws of every segment through a frozen network.

    Args:
        network: left unchanged; a fused copy computes.
        store: features of the segments.
        plan: which chunks.
        at: "pool", "embedding" or "map" (of chunks of one length).
        device: where to compute.
        precision: "float32" or "bf16".
        first: index of the segment to start at; a multiple of the device's WINDOW gives the same bytes as starting at 0.
        stop_requested: checked before every batch.

    Yields:
        (key, (rows, dim) float32) in the store's order.

    Raises:
        Stopped: `stop_requested` returned True.
    """
    window = WINDOW[device.type]
    network = for_evaluation(network, device, precision)

    def prepare(start: int) -> tuple[int, list[tuple[tuple[Place, ...], np.ndarray]]]:
        return start, _window(store, plan, start, window, BATCH[device.type])

    for start, batches in prefetch(prepare, range(first, len(store), window), depth=2):
        vectors: dict[Place, np.ndarray] = {}
        for places, chunks in batches:
            if stop_requested():
                raise Stopped(f"after {start} of {len(store)} segments")
            out = output(network, torch.from_numpy(chunks).to(device).transpose(1, 2), None, at)
            vectors.update(zip(places, out.cpu().numpy()))
        for index in range(start, min(start + window, len(store))):
            yield store.keys[index], np.stack([vectors[index, row] for row in range(plan.rows)])


def _window(
    store: Store, plan: DrawPlan, start: int, window: int, batch_size: int
) -> list[tuple[tuple[Place, ...], np.ndarray]]:
    """Chunks of a window of segments in batches of one length: (places, (batch, T, bins))."""
    by_length: dict[int, list[tuple[Place, np.ndarray]]] = {}
    for index in range(start, min(start + window, len(store))):
        segment = store[index]
        for row in range(plan.rows):
            chunk = plan.chunk(segment, row)
            by_length.setdefault(len(chunk), []).append(((index, row), chunk))
    batches = []
    for _, placed in sorted(by_length.items()):
        for offset in range(0, len(placed), batch_size):
            places, chunks = zip(*placed[offset : offset + batch_size])
            batches.append((places, np.stack(chunks)))
    return batches
