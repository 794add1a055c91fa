"""Millions of strings in two arrays, with a vectorised 64-bit hash of each.

Example:
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

# 2^64 over the golden ratio: odd, and without a pattern, so that every bit of a word changes many of the product's.
_FACTOR = 0x9E3779B97F4A7C15
_ONES = 2**64 - 1
_BLOCK = 4096


class Words(Sequence):
    """A sequence of str, stored as UTF-8 and decoded on access.

    Args:
        blob: uint8, the words one after the other.
        ends: (words + 1,) int64, the start of each word and the end of the last.
    """

    def __init__(self, blob: np.ndarray, ends: np.ndarray) -> None:
        self.blob, self.ends = blob, ends

    @classmethod
    def of(cls, words: Iterable[bytes]) -> "Words":
        """Store UTF-8 words."""
        words = list(words)
        ends = np.zeros(len(words) + 1, np.int64)
        np.cumsum([len(word) for word in words], out=ends[1:])
        return cls(np.frombuffer(b"".join(words), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        return self.blob[self.ends[number] : self.ends[number + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        # In blocks: Python strings of all words would take several times the memory of the arrays.
        for first in range(0, len(self), _BLOCK):
            ends = self.ends[first : first + _BLOCK + 1]
            blob = self.blob[ends[0] : ends[-1]].tobytes()
            for start, end in itertools.pairwise((ends - ends[0]).tolist()):
                yield blob[start:end].decode()

    def __eq__(self, other: Sequence) -> bool:
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None

    def hashes(self) -> np.ndarray:
        """The hash of each word. Shape: (words,), uint64."""
        return hash_spans(self.blob, self.ends[:-1], self.ends[1:])


def hash_word(word: bytes) -> int:
    """64-bit hash of a word: eight bytes at a time, multiplied and folded."""
    count = -(-len(word) // 8)
    value = len(word)
    for part in struct.unpack(f"<{count}Q", word.ljust(8 * count, b"\0")):
        value = ((value ^ part) * _FACTOR) & _ONES
        value ^= value >> 32
    return value


def hash_spans(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The hash_word of each data[start:end].

    Args:
        data: uint8.
        starts: (spans,) integers.
        ends: (spans,) integers.

    Returns:
        (spans,) uint64.
    """
    hashes = np.empty(len(starts), np.uint64)
    for length, chosen in by_length(starts, ends):
        padded = np.zeros((len(chosen), -(-length // 8) * 8), np.uint8)
        padded[:, :length] = spans(data, starts[chosen], length)
        values = np.full(len(chosen), length, np.uint64)
        for part in padded.view("<u8").T:
            values ^= part
            values *= np.uint64(_FACTOR)
            values ^= values >> np.uint64(32)
        hashes[chosen] = values
    return hashes


def by_length(starts: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Group spans by length: (length, numbers of spans of that length), at most 65,536 spans at a time."""
    lengths = ends - starts
    order = np.argsort(lengths, kind="stable")
    bounds = np.flatnonzero(np.diff(lengths[order])) + 1
    for group in np.split(order, bounds) if len(order) else []:
        for first in range(0, len(group), 1 << 16):
            yield int(lengths[group[0]]), group[first : first + (1 << 16)]


def spans(data: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The bytes data[start : start + length] of each start. Shape: (spans, length), uint8."""
    if not length:
        return np.empty((len(starts), 0), np.uint8)
    return np.lib.stride_tricks.sliding_window_view(data, length)[starts]
