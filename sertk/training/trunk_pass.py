"""Training draws of a frozen trunk: its outputs for the chunks of every epoch, computed once for all folds.

With the trunk frozen and its BatchNorm in evaluation mode, its output for a chunk depends on neither fold, label set
nor head: one pass serves them all. Row e * versions + v of a segment's matrix belongs to version v in epoch e + 1.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sertk.data.chunks import ChunkRule
from sertk.data.loader import prefetch
from sertk.data.store import Segment, Store
from sertk.errors import out_of_memory
from sertk.models.fuse import for_evaluation
from sertk.models.inference import output
from sertk.models.resnet import ResNet
from sertk.runtime import release_memory
from sertk.training.progress import Stopped, StopRequested, never

# Segments whose chunks are sorted by length together, and windows of them that a GPU has in its queue beside the one that is
# waited for: it computes while vectors of the one before are copied and sorted.
WINDOW = {"cpu": 4, "cuda": 16}
QUEUED = {"cpu": 0, "cuda": 1}
# Chunks of a forward pass: on a CPU few, on a GPU as many as the numbers of the widest map allow, some ten of which are held at
# a time: 256 chunks of 300 frames of the paper's network, 0.6 GB in bf16.
BATCH = 16
WIDEST_MAP = 256 * 300 * 128 * 32

# (segment, row) of a chunk, and of those of a batch.
Place = tuple[int, int]
Places = tuple[Place, ...]


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
    channels, network = network.spec.channels, for_evaluation(network, device, precision)
    queue: deque[tuple[range, list[tuple[Places, Tensor]], torch.cuda.Event | None]] = deque()

    def prepare(start: int) -> tuple[range, list[tuple[Places, Tensor]]]:
        indices = range(start, min(start + window, len(store)))
        return indices, _window(store, plan, indices, partial(batch_size, channels, store.bins, device), device)

    for indices, batches in prefetch(prepare, range(first, len(store), window), depth=2):
        outputs = []
        for places, chunks in batches:
            if stop_requested():
                raise Stopped(f"after {indices.start} of {len(store)} segments")
            outputs.append((places, _outputs(network, chunks, at, device).to("cpu", non_blocking=True)))
        queue.append((indices, outputs, _queued(device)))
        if len(queue) > QUEUED[device.type]:
            yield from _finished(store, plan, *queue.popleft())
    while queue:
        yield from _finished(store, plan, *queue.popleft())


def batch_size(channels: int, bins: int, device: torch.device, frames: int) -> int:
    """Chunks of a forward pass.

    Example:
        >>> [batch_size(32, 128, torch.device("cuda"), frames) for frames in (300, 150)]
        [256, 512]
    """
    return max(1, WIDEST_MAP // (channels * bins * frames)) if device.type == "cuda" else BATCH


def _outputs(network: ResNet, chunks: Tensor, at: str, device: torch.device) -> Tensor:
    """The outputs of chunks, on the device; in halves where memory runs out."""
    try:
        return output(network, chunks.to(device, non_blocking=True).transpose(1, 2), None, at)
    except (MemoryError, RuntimeError) as error:
        if len(chunks) == 1 or not out_of_memory(error):
            raise
    # Outside the except block: a live exception keeps the tensors allocated.
    release_memory(device)
    return torch.cat([_outputs(network, half, at, device) for half in chunks.chunk(2)])


def _queued(device: torch.device) -> torch.cuda.Event | None:
    """What tells that all that is in a GPU's queue now is computed; None on a CPU, where it is."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


def _finished(
    store: Store, plan: DrawPlan, indices: range, outputs: list[tuple[Places, Tensor]], queued: torch.cuda.Event | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Wait for the outputs of a window; the vectors of its segments."""
    if queued:
        queued.synchronize()
    vectors = {place: vector for places, out in outputs for place, vector in zip(places, out.numpy())}
    for index in indices:
        yield store.keys[index], np.stack([vectors[index, row] for row in range(plan.rows)])


def _window(
    store: Store, plan: DrawPlan, indices: range, batch_size: Callable[[int], int], device: torch.device
) -> list[tuple[Places, Tensor]]:
    """Chunks of a window of segments in batches of one length: places and (batch, T, bins), in pinned memory for a GPU."""
    by_length: dict[int, list[tuple[Place, np.ndarray]]] = {}
    for index in indices:
        segment = store[index]
        for row in range(plan.rows):
            chunk = plan.chunk(segment, row)
            by_length.setdefault(len(chunk), []).append(((index, row), chunk))
    batches = []
    for frames, placed in sorted(by_length.items()):
        for offset in range(0, len(placed), batch_size(frames)):
            places, chunks = zip(*placed[offset : offset + batch_size(frames)])
            batch = torch.empty(len(places), frames, store.bins, pin_memory=device.type == "cuda")
            np.stack(chunks, out=batch.numpy())
            batches.append((places, batch))
    return batches
