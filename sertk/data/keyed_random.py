"""Keyed random numbers: each depends only on seed, segment, epoch, version and copy.

They do not depend on the fold, the batch, the number of workers or what was drawn before. So a run resumes bit by bit, and
one trunk pass serves all folds.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Draws:
    """A stream of random integers, keyed by `parts` (integers and strings).

    The generator is splitmix64 (Steele, Lea, Flood 2014), started from a hash of the parts.

    Example:
        >>> a, b = Draws(0, "utt1", 3), Draws(0, "utt1", 3)
        >>> [a.integer(0, 9) for _ in range(5)] == [b.integer(0, 9) for _ in range(5)]
        True
    """

    def __init__(self, *parts: int | str) -> None:
        text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
        self._state = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")

    def integer(self, low: int, high: int) -> int:
        """A uniform integer, both bounds included."""
        # The product's upper half is uniform but for a bias of (high - low) / 2**64.
        return low + ((self._next() * (high - low + 1)) >> 64)

    def choice(self, items: Sequence[Item]) -> Item:
        """One of `items`, uniformly."""
        return items[self.integer(0, len(items) - 1)]

    def _next(self) -> int:
        self._state = (self._state + _GOLDEN) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)


def permutation(count: int, *parts: int | str) -> np.ndarray:
    """A random permutation of 0 … count - 1, keyed by `parts`. Shape: (count,), int64."""
    start = Draws(*parts)._next()
    with np.errstate(over="ignore"):
        z = np.uint64(start) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(z ^ (z >> np.uint64(31)), kind="stable")
