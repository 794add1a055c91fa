"""Sampler: the chunks of every batch of every epoch."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sertk.data.keyed_random import Draws, permutation


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
    """Batches in a random order keyed by (seed, epoch), from any batch on.

    Args:
        seed: random seed.
        num_segments: an epoch holds every (segment, version, copy) once.
        num_versions: versions of each segment.
        num_copies: chunks of each version.
        batch_size: chunks a batch. A remainder of less than half of it joins the last batch: BatchNorm statistics over two or
            three chunks disturb a network for an epoch.
        chunk_frames: T is drawn from these for every batch.
        classes: (segments,) integers for balanced sampling: each class is drawn equally often, in an epoch of the same length. A
            segment drawn twice in an epoch has other copies, and so other chunks. None: each segment once.
    """

    seed: int
    num_segments: int
    num_versions: int
    num_copies: int
    batch_size: int
    chunk_frames: tuple[int, ...]
    classes: np.ndarray | None = field(default=None, compare=False)

    @property
    def num_items(self) -> int:
        """Chunks in an epoch."""
        return self.num_segments * self.num_versions * self.num_copies

    def num_batches(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.num_items, self.batch_size)
        return max(1, full + (rest >= self.batch_size / 2))

    def smallest_batch(self) -> int:
        """Chunks of the smallest batch."""
        return min(self._sizes())

    def largest_batch(self) -> int:
        """Chunks of the largest batch."""
        return max(self._sizes())

    def _sizes(self) -> set[int]:
        """Sizes of the last batch and, if there are several, of the others."""
        others = self.num_batches() - 1
        return {self.num_items - others * self.batch_size, *[self.batch_size] * (others > 0)}

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (counted from 1) from number `first` on."""
        order, dealt = self._order(epoch), self._dealt(epoch)
        last = self.num_batches() - 1
        for number in range(first, last + 1):
            start = number * self.batch_size
            picked = order[start:] if number == last else order[start : start + self.batch_size]
            frames = Draws(self.seed, "T", epoch, number).choice(self.chunk_frames)
            yield Batch(number, frames, self._items(picked, dealt))

    def items(self, epoch: int) -> np.ndarray:
        """The items of all batches of an epoch, one after the other. Shape: (num_items, 3)."""
        return self._items(self._order(epoch), self._dealt(epoch))

    def full_batches(self) -> int:
        """The batches before the first of another size, which is the last if there is one."""
        batches = self.num_batches()
        return batches if self.num_items == batches * self.batch_size else batches - 1

    def _order(self, epoch: int) -> np.ndarray:
        return permutation(self.num_items, self.seed, "order", epoch)

    def _dealt(self, epoch: int) -> tuple[np.ndarray, np.ndarray] | None:
        return None if self.classes is None else balanced(self.classes, self.seed, epoch)

    def _items(self, picked: np.ndarray, dealt: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        """Segment, version and copy of places in an epoch. Shape: (size,) -> (size, 3)."""
        segment, rest = np.divmod(picked, self.num_versions * self.num_copies)
        version, copy = np.divmod(rest, self.num_copies)
        if dealt:
            copy += self.num_copies * dealt[1][segment]
            segment = dealt[0][segment]
        return np.stack([segment, version, copy], axis=1)


def balanced(classes: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Segments drawn so that each class comes equally often (or once more), as many as there are segments.

    Args:
        classes: (segments,) integers.
        seed: random seed.
        epoch: from 1.

    Returns:
        (segments,) indices, and (segments,) how often each was drawn before: all of a class are drawn, in a new order, before
        any is drawn again.
    """
    by_class = np.argsort(classes, kind="stable")
    present, first = np.unique(classes[by_class], return_index=True)
    share, rest = divmod(len(classes), len(present))
    once_more = set(permutation(len(present), seed, "once more", epoch)[:rest].tolist())
    segments, rounds = [], []
    for number, members in enumerate(np.split(by_class, first[1:])):
        wanted = share + (number in once_more)
        before = np.arange(wanted) // len(members)
        parts = ((seed, "class", int(present[number]), epoch, turn) for turn in range(before[-1] + 1))
        orders = [members[permutation(len(members), *part)] for part in parts]
        segments.append(np.concatenate(orders)[:wanted])
        rounds.append(before)
    return np.concatenate(segments), np.concatenate(rounds)
