"""Several heads side by side: an epoch's draws are read once for all, and heads of one shape can take their steps together."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from sertk.data.loader import prefetch
from sertk.data.store import RESIDENT_BYTES, Segment, Store
from sertk.errors import SertkError, error_context
from sertk.models.pooledhead import PooledHead
from sertk.training.head import EpochSums, EpochVectors, HeadTraining
from sertk.training.headstack import train_stacked
from sertk.training.progress import StopRequested, never

Name = TypeVar("Name")
# Function that is told of a head whose training failed.
Failed = Callable[[Name, SertkError], None]

# Whether the next epoch's draws are read during an epoch: a GPU would wait for them, on a CPU they would take memory twice.
READ_AHEAD = {"cpu": False, "cuda": True}


class EpochDraws:
    """The draws of one epoch: held on the device if they fit, else read batch by batch.

    Args:
        store: the draws of all segments and epochs.
        epoch: from 1.
        versions: rows of a segment in an epoch; after its last row a segment begins again.
        device: where they are needed.
        resident_bytes: largest size to hold.
    """

    def __init__(self, store: Store, epoch: int, versions: int, device: torch.device, resident_bytes: int) -> None:
        self.store, self.versions, self.device = store, versions, device
        self.resident: Tensor | None = None
        self.first = (epoch - 1) * versions
        if 4 * len(store) * versions * store.bins <= resident_bytes:
            rows = torch.empty(len(store), versions, store.bins, pin_memory=device.type == "cuda")
            for index, out in enumerate(rows.numpy()):
                out[:] = self._rows(store[index])
            self.resident = rows.to(device, non_blocking=True).flatten(0, 1)

    def __call__(self, segments: np.ndarray, versions: np.ndarray) -> Tensor:
        """The draws of segments and versions, given by their indices. Shape: (batch, dim)."""
        if self.resident is not None:  # index_select: indexing with numpy arrays would wait for the GPU
            rows = torch.from_numpy(segments * self.versions + versions)
            return self.resident.index_select(0, rows.to(self.device, non_blocking=True))
        rows = []
        for index, row in zip(segments.tolist(), (self.first + versions).tolist()):
            row %= int(self.store.num_frames[index])
            rows.append(self.store[index].rows(row, row + 1))
        return torch.from_numpy(np.concatenate(rows)).to(self.device)

    def _rows(self, segment: Segment) -> np.ndarray:
        """The epoch's rows of a segment. Shape: (versions, dim)."""
        start = self.first % segment.num_frames
        if start + self.versions <= segment.num_frames:
            return segment.rows(start, start + self.versions)
        turns = (row % segment.num_frames for row in range(start, start + self.versions))
        return np.concatenate([segment.rows(row, row + 1) for row in turns])


def draws_of_epochs(
    store: Store, epochs: range, versions: int, device: torch.device, resident_bytes: int
) -> Iterable[EpochDraws]:
    """The draws of epochs, one after the other; see EpochDraws."""

    def read(epoch: int) -> EpochDraws:
        return EpochDraws(store, epoch, versions, device, resident_bytes)

    if not (versions % store.num_frames).any():  # each epoch ends with a segment's last row, so all have the same rows
        return [read(epochs[0])] * len(epochs)
    return prefetch(read, epochs, depth=1) if READ_AHEAD[device.type] else map(read, epochs)


def train_heads(
    trainings: dict[Name, HeadTraining],
    store_indices: dict[Name, np.ndarray],
    store: Store,
    device: torch.device,
    stop_requested: StopRequested = never,
    resident_bytes: int = RESIDENT_BYTES,
    failed: Failed | None = None,
    stacked: bool = False,
) -> Iterator[tuple[int, Name, dict]]:
    """Train several heads side by side, so that an epoch's draws are read once for all of them if they fit into memory.

    Args:
        trainings: by name; all with the same versions. Each resumes after the epochs that it has finished.
        store_indices: by name, (segments,) index in the store of each of a training's segments.
        store: the draws.
        device: where to compute.
        stop_requested: checked before every batch.
        resident_bytes: largest size of an epoch's draws to hold in memory.
        failed: called for each head whose loss or weights are NaN or infinite; the others are trained to their ends. None: the
            first such head is an error.
        stacked: heads of the same shape and batch size take their steps together (see headstack): they are the same up to
            rounding, which depends on the others. One by one a head has the same bits in any company.

    Yields:
        (epoch, name, record) after each epoch of each head.

    Raises:
        Stopped: `stop_requested` returned True.
        SertkError: the loss or the weights of a head, which is named, are NaN or infinite.
    """
    running = {name: one for name, one in trainings.items() if len(one.history) < one.settings.epochs}
    if not running:
        return
    versions = max(one.settings.versions for one in running.values())
    finished = min(len(one.history) for one in running.values())
    epochs = range(1 + finished, 1 + max(one.settings.epochs for one in running.values()))
    for epoch, draws in zip(epochs, draws_of_epochs(store, epochs, versions, device, resident_bytes)):
        due = {name: one for name, one in running.items() if len(one.history) < epoch <= one.settings.epochs}
        for names in stacks(due) if stacked else [[name] for name in due]:
            indices = [store_indices[name] for name in names]
            begun = begin_epoch([due[name] for name in names], draws, indices, stop_requested)
            for name, (first, sums) in zip(names, begun):
                try:
                    with error_context(str(name)):
                        due[name].train_batches(selecting(draws, store_indices[name]), sums, first, stop_requested)
                        record = due[name].finish_epoch(sums)
                except SertkError as error:
                    if failed is None:
                        raise
                    del running[name]
                    failed(name, error)
                else:
                    yield epoch, name, record


def stacks(trainings: dict[Name, HeadTraining]) -> list[list[Name]]:
    """The names of heads of the same shape and batch size; each head with a pooling of its own is alone."""
    groups: dict[tuple, list[Name]] = {}
    for name, one in trainings.items():
        alone = name if isinstance(one.head, PooledHead) else None
        groups.setdefault((one.spec, one.settings.batch_size, alone), []).append(name)
    return list(groups.values())


def begin_epoch(
    trainings: list[HeadTraining], draws: EpochDraws, indices: list[np.ndarray], stop_requested: StopRequested
) -> list[tuple[int, EpochSums]]:
    """Train heads on the batches that they can take together; the first batch that is left to each, and its sums so far."""
    if len(trainings) == 1:
        return [(0, EpochSums.zeros(trainings[0].device))]
    all_sums = train_stacked(trainings, draws, indices, stop_requested)
    return [(one.sampler.full_batches(), sums) for one, sums in zip(trainings, all_sums)]


def selecting(draws: EpochDraws, indices: np.ndarray) -> EpochVectors:
    """The draws of a training's segments, whose indices in the store are `indices`."""
    return lambda segments, versions: draws(indices[segments], versions)
