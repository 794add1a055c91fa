"""Many strings as two arrays, and a hash of each that numpy computes for all of them at once.

>>> words = Words.of([b"one", b"three"])
>>> words[1], words.ends.tolist()
('three', [0, 3, 8])
>>> int(hash_spans(words.blob, words.ends[:-1], words.ends[1:])[1]) == hash_word(b"three")
True
"""

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

# Odd, its bits without a pattern (2^64 over the golden ratio): every bit of a word moves many of the product's.
_FACTOR = 0x9E3779B97F4A7C15
_ONES = 2**64 - 1
_BLOCK = 4096


class Words(Sequence):
    """Strings kept as one run of bytes, decoded when asked for.

    blob: uint8, all of them one after the other; ends: int64 (words + 1,), where each begins and the last one ends
    """

    def __init__(self, blob: np.ndarray, ends: np.ndarray):
        self.blob, self.ends = blob, ends

    @classmethod
    def of(cls, words: Iterable[bytes]) -> "Words":
        words = list(words)
        ends = np.zeros(len(words) + 1, np.int64)
        np.cumsum([len(word) for word in words], out=ends[1:])
        return cls(np.frombuffer(b"".join(words), np.uint8), ends)

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        return self.blob[self.ends[place] : self.ends[place + 1]].tobytes().decode()

    def __iter__(self):
        # A few at a time: all at once would be several times the memory that they are kept in.
        for first in range(0, len(self), _BLOCK):
            ends = self.ends[first : first + _BLOCK + 1]
            blob = self.blob[ends[0] : ends[-1]].tobytes()
            for start, end in itertools.pairwise((ends - ends[0]).tolist()):
                yield blob[start:end].decode()

    def __eq__(self, other):
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None

    def hashes(self) -> np.ndarray:
        """uint64 (words,)."""
        return hash_spans(self.blob, self.ends[:-1], self.ends[1:])


def hash_word(word: bytes) -> int:
    """64 bits that depend on every byte: word by word of eight bytes, multiplied and folded."""
    count = -(-len(word) // 8)
    found = len(word)
    for part in struct.unpack(f"<{count}Q", word.ljust(8 * count, b"\0")):
        found = ((found ^ part) * _FACTOR) & _ONES
        found ^= found >> 32
    return found


def hash_spans(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """hash_word of each data[start:end]: uint64, one for each span."""
    found = np.empty(len(starts), np.uint64)
    for length, which in by_length(starts, ends):
        padded = np.zeros((len(which), -(-length // 8) * 8), np.uint8)
        padded[:, :length] = spans(data, starts[which], length)
        values = np.full(len(which), length, np.uint64)
        for part in padded.view("<u8").T:
            values ^= part
            values *= np.uint64(_FACTOR)
            values ^= values >> np.uint64(32)
        found[which] = values
    return found


def by_length(starts: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(length, which spans have it), a few ten thousand spans at a time."""
    lengths = ends - starts
    order = np.argsort(lengths, kind="stable")
    bounds = np.flatnonzero(np.diff(lengths[order])) + 1
    for group in np.split(order, bounds) if len(order) else []:
        for first in range(0, len(group), 1 << 16):
            yield int(lengths[group[0]]), group[first : first + (1 << 16)]


def spans(data: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The bytes data[start : start + length] of each start: uint8 (spans, length)."""
    if not length:
        return np.empty((len(starts), 0), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(data, length)[starts]
