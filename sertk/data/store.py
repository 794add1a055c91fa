"""Features of many segments, read by row range: in memory if they fit, else by offset from the table."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.index import SequentialOnly
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import EMPTY, filled, open_table, read_table, warn_of_skipped

log = logging.getLogger("sertk")
Rows = Callable[[int, int, int, np.ndarray | None], np.ndarray]

# Half of the smallest machine that anyone trains on; IEMOCAP in float32 is 1.3 GB, VoxCeleb 500.
RESIDENT_BYTES = 4 << 30
# Threads that read from a disk at the same time: with a cold cache it is the disk that they wait for, in a cluster the network.
READERS = 8


class Segment:
    """One segment of a store: `num_frames`, `bins` and rows(start, stop) -> (frames, bins) float32, into `out` if given."""

    __slots__ = ("_rows", "bins", "index", "key", "num_frames")

    def __init__(self, key: str, index: int, num_frames: int, bins: int, rows: Rows) -> None:
        self.key, self.index, self.num_frames, self.bins, self._rows = key, index, num_frames, bins, rows

    def rows(self, start: int, stop: int, out: np.ndarray | None = None) -> np.ndarray:
        """Rows start to stop, (stop - start, bins) float32, into `out` if given."""
        return self._rows(self.index, start, stop, out)


class Store:
    """The segments of a table of features, all with the same number of bins.

    Args:
        keys: names, one a segment.
        num_frames: (segments,) integers.
        bins: columns of every matrix.
        rows: thread-safe function of (index, start, stop, out) -> (stop - start, bins) float32; it fills `out` if given.
        on_disk: True if rows are read from disk each time.
    """

    def __init__(self, keys: list[str], num_frames: np.ndarray, bins: int, rows: Rows,
                 on_disk: bool = False) -> None:  # fmt: skip
        self.keys, self.num_frames, self.bins, self._rows, self.on_disk = keys, num_frames, bins, rows, on_disk

    @property
    def readers(self) -> int:
        """Threads that should read at the same time; one for memory, where several are not faster."""
        return READERS if self.on_disk else 1

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Segment:
        return Segment(self.keys[index], index, int(self.num_frames[index]), self.bins, self._rows)

    def only(self, wanted: Callable[[str], bool]) -> "Store":
        """The store of the segments for whose key wanted(key) is true, in the same order."""
        return self.at(np.array([index for index, key in enumerate(self.keys) if wanted(key)], dtype=np.int64))

    def at(self, kept: np.ndarray) -> "Store":
        """The store of the segments of these numbers."""
        return Store(
            [self.keys[index] for index in kept],
            self.num_frames[kept],
            self.bins,
            lambda index, start, stop, out: self._rows(kept[index], start, stop, out),
            self.on_disk,
        )


def load_store(
    source: Rspecifier,
    resident_bytes: int = RESIDENT_BYTES,
    skip: Callable[[str, str], None] = warn_of_skipped,
    most_piped_bytes: int = RESIDENT_BYTES,
) -> Store:
    """The segments of a table: a script file that is larger than `resident_bytes` stays on disk.

    Args:
        source: the table.
        resident_bytes: largest script file to hold in memory.
        skip: called with (key, reason) for each empty matrix, which is left out.
        most_piped_bytes: largest size of a script of commands or of text, which must be held in memory.

    Raises:
        SertkError: a matrix is broken, or has another number of bins than the first.
    """
    in_memory = ""
    if source.script and Path(source.filename).is_file():
        try:
            table = open_table(source)
            num_frames = table.num_frames
        except SequentialOnly as error:
            in_memory = str(error)
        else:
            if num_frames.sum() * table.dim * 4 > resident_bytes:
                store = Store(table.keys, num_frames, table.dim, table.rows, on_disk=True)
                empty = np.flatnonzero(num_frames == 0)
                for index in empty:
                    skip(table.keys[index], EMPTY)
                return store.at(np.flatnonzero(num_frames)) if len(empty) else store
    keys, matrices, total = [], [], 0
    for key, feats in filled(read_table(source, skip=skip), skip):
        if matrices and feats.shape[1] != matrices[0].shape[1]:
            raise SertkError(f"{source}: {key}: {feats.shape[1]} bins, {keys[0]} has {matrices[0].shape[1]}")
        total += feats.nbytes
        if in_memory and total > most_piped_bytes:
            raise SertkError(
                f"{source}: is over {most_piped_bytes / 1e9:.3g} GB and has an entry that cannot be read at random"
                f" ({in_memory}): write it to an archive first (copy-feats {source} ark,scp:feats.ark,feats.scp)"
            )
        keys.append(key)
        matrices.append(feats)
    if not keys:
        raise SertkError(f"{source}: all its matrices are empty")
    if in_memory:
        log.info("%s: read once and held in memory (%.3g GB)", source, total / 1e9)
    return store_of(keys, matrices)


def store_of(keys: list[str], matrices: list[np.ndarray]) -> Store:
    """A store over matrices in memory, each (frames, bins) float32."""
    num_frames = np.array([len(feats) for feats in matrices], dtype=np.int64)
    bins = matrices[0].shape[1] if matrices else 0

    def rows(index: int, start: int, stop: int, out: np.ndarray | None) -> np.ndarray:
        part = matrices[index][start:stop]
        if out is None:
            return part
        out[:] = part
        return out

    return Store(keys, num_frames, bins, rows)
