"""Index of a table: archive and offset of each entry, as arrays of 40 bytes an entry and its key."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sertk.errors import SertkError, error_context
from sertk.kaldi.archive import read_keys
from sertk.kaldi.codec import read_header
from sertk.kaldi.script import read_script
from sertk.kaldi.scriptarrays import script_arrays
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.streams import open_input
from sertk.kaldi.words import Words, hash_word

# A codec.Header.
SHAPE = np.dtype([("form", "S3"), ("start", "u1"), ("rows", "<i4"), ("cols", "<i4"), ("low", "<f4"), ("span", "<f4")])


class SequentialOnly(SertkError):
    """An entry cannot be read at random: it is a pipe, or text."""


class Places(NamedTuple):
    """Archives and offsets of all entries, as Index has them."""

    archives: list[str]
    archive: np.ndarray
    offset: np.ndarray
    keys: Words
    ranges: Words


@dataclass
class Index:
    """The entries of a table, in its order.

    Args:
        archives: file names.
        archive: (entries,) int32, number of each entry's archive.
        offset: (entries,) int64, of each value's first byte.
        keys: of the entries.
        ranges: Kaldi's range of each entry, "" for none; empty if no entry has one.
        hashes: (entries,) uint64, hashes of the keys in rising order.
        order: (entries,) int32, number of the entry of each hash.
        frames: (entries,) int64, rows of each entry; empty until the headers are read, and so are the next three.
        shapes: (entries,) SHAPE, header of each entry.
        identities: of the archives that the headers were read from, see file_identity.
        dim: columns.
        mapped: True if it was loaded from a cache.
    """

    archives: list[str]
    archive: np.ndarray
    offset: np.ndarray
    keys: Words
    ranges: Words
    hashes: np.ndarray
    order: np.ndarray
    frames: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    shapes: np.ndarray = field(default_factory=lambda: np.zeros(0, SHAPE))
    identities: list[list[int]] = field(default_factory=list)
    dim: int = 0
    mapped: bool = False

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key: str) -> int | None:
        """The number of a key's entry, None if there is none."""
        key_hash = np.uint64(hash_word(key.encode()))
        place = int(self.hashes.searchsorted(key_hash))
        while place < len(self) and self.hashes[place] == key_hash:
            number = int(self.order[place])
            if self.keys[number] == key:
                return number
            place += 1
        return None


def build_index(source: Rspecifier, kind: str) -> Index:
    """Index a table by reading its script, or its archive.

    Raises:
        SertkError: the script or archive is damaged, or cannot be read at random.
    """
    places = hashes = None
    if source.script and not source.sorted:
        places = _read_plain_script(source)
    if places is not None:
        hashes = places.keys.hashes()
        ordered = np.sort(hashes)
        if (ordered[1:] == ordered[:-1]).any():
            places = None  # probably a duplicate key: line by line, the error names its line
    if places is None:
        places = _collect(_script_places(source) if source.script else _archive_places(source, kind))
        hashes = places.keys.hashes()
    if not len(places.keys):
        raise SertkError(f"{source}: has no entries")
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    return Index(*places, hashes[order], order)


def _read_plain_script(source: Rspecifier) -> Places | None:
    """Read a script file in the plain form at once; None if it must be read line by line."""
    with open_input(source.rxfilename) as stream:
        arrays = script_arrays(stream) if stream.size else None
    return None if arrays is None else Places(*arrays, ranges=Words.of([]))


def _collect(entries: Iterable[tuple[str, str, int, str | None]]) -> Places:
    """Arrays from the (key, path, offset, range) of each entry."""
    archives: dict[str, int] = {}
    archive, offset = array("i"), array("q")
    keys, key_ends = bytearray(), array("q", [0])
    ranges, range_ends = bytearray(), array("q", [0])
    for key, path, start, part in entries:
        archive.append(archives.setdefault(path, len(archives)))
        offset.append(start)
        keys += key.encode()
        key_ends.append(len(keys))
        if part is not None:
            ranges += part.encode()
        range_ends.append(len(ranges))
    if not ranges:
        range_ends = array("q", [0])
    keys = Words(np.frombuffer(bytes(keys), np.uint8), np.frombuffer(key_ends, np.int64))
    ranges = Words(np.frombuffer(bytes(ranges), np.uint8), np.frombuffer(range_ends, np.int64))
    return Places(list(archives), np.frombuffer(archive, np.int32), np.frombuffer(offset, np.int64), keys, ranges)


def _script_places(source: Rspecifier) -> Iterator[tuple[str, str, int, str | None]]:
    for entry in read_script(source):
        place = entry.rxfilename
        if not place.stored:
            raise SequentialOnly(f"{entry.where}: '{entry.name}' cannot be read at random: expected a file")
        yield entry.key, place.path, place.offset, entry.range


def _archive_places(source: Rspecifier, kind: str) -> Iterator[tuple[str, str, int, str | None]]:
    if source.rxfilename.kind != "file":
        raise SertkError(f"{source}: cannot be read at random: expected a file")
    with open_input(source.rxfilename) as stream:
        for key, where in read_keys(stream, source):
            start = stream.position
            with error_context(where):
                header = read_header(stream, kind)
            stream.seek(start + header.start + header.nbytes)
            yield key, source.filename, start, None
