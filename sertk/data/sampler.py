"""Which chunks make up which batch of which epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sertk.data.draws import Draws, permutation


@dataclass(frozen=True)
class Batch:
    """Chunks that are trained on together.

    Args:
        number: position in the epoch.
        frames: T, the length of all of them.
        items: (size, 3) integers: segment, version, copy.
    """

    number: int
    frames: int
    items: np.ndarray


@dataclass(frozen=True)
class Sampler:
    """Batches in an order that is a function of (seed, epoch), from any batch on.

    Args:
        seed: what order and T are drawn from.
        num_segments, num_versions, num_copies: an epoch holds every (segment, version, copy) once.
        batch_size: chunks a batch. A rest of less than half of it joins the last batch: the statistics that
            BatchNorm takes over two or three chunks throw a network off for an epoch.
        chunk_frames: T is drawn from these for every batch.
    """

    seed: int
    num_segments: int
    num_versions: int
    num_copies: int
    batch_size: int
    chunk_frames: tuple[int, ...]

    @property
    def num_items(self) -> int:
        return self.num_segments * self.num_versions * self.num_copies

    def num_batches(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.num_items, self.batch_size)
        return max(1, full + (rest >= self.batch_size / 2))

    def smallest_batch(self) -> int:
        """Chunks of the smallest batch."""
        return min(self.batch_size, self.num_items - (self.num_batches() - 1) * self.batch_size)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (counted from 1) from number `first` on."""
        order = permutation(self.num_items, self.seed, "order", epoch)
        last = self.num_batches() - 1
        for number in range(first, last + 1):
            start = number * self.batch_size
            picked = order[start:] if number == last else order[start : start + self.batch_size]
            frames = Draws(self.seed, "T", epoch, number).choice(self.chunk_frames)
            per_segment = self.num_versions * self.num_copies
            segment, rest = np.divmod(picked, per_segment)
            version, copy = np.divmod(rest, self.num_copies)
            yield Batch(number, frames, np.stack([segment, version, copy], axis=1))
