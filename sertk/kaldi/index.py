"""Where each entry of a table lies, as arrays: 40 bytes and its key an entry, and nothing at all when they are mapped.

A large script's index is kept beside it in `x.scp.index.npy`, for the next opening. It is believed only while the
script is the very file that it was made from (inode, size, both times), and the frames in it only while the archives
are. It is not made from a script so young that a later change could carry the same time.
"""

import hashlib
import io
import itertools
import json
import os
import tempfile
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.codec import read_header
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.streams import classify_input, open_input, split_offset
from sertk.kaldi.tables import at, read_keys, read_script

# Below this, reading the script is as fast, and data folders stay clean.
_LEAST_LINES = 10_000
_MOST_ARCHIVES = 10_000
# Two seconds: the coarsest clock of a file system in use.
_YOUNG_NS = 2_000_000_000
_MAGIC = "sertk-index-1"
_ARRAYS = {
    "archive": np.int32,
    "offset": np.int64,
    "key_bytes": np.uint8,
    "key_ends": np.int64,
    "hashes": np.uint64,
    "order": np.int32,
    "range_bytes": np.uint8,
    "range_ends": np.int64,
    "frames": np.int64,
}


class Words(Sequence):
    """Strings kept as one run of bytes: (bytes, ends), decoded when asked for."""

    def __init__(self, blob: np.ndarray, ends: np.ndarray):
        self.blob, self.ends = blob, ends

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        return self.blob[self.ends[place] : self.ends[place + 1]].tobytes().decode()

    def __iter__(self):
        ends, blob = self.ends.tolist(), self.blob.tobytes()
        for start, end in itertools.pairwise(ends):
            yield blob[start:end].decode()

    def __eq__(self, other):
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None


@dataclass
class Index:
    """The entries of a table in its order.

    archives: file names; archive: which of them; offset: of the value's first byte
    keys: all keys; ranges: Kaldi's ranges, "" for none, empty where no entry has one
    frames: rows of each entry, empty as long as nobody asked; dim: columns, 0 as long
    mapped: it comes from a sidecar
    """

    archives: list[str]
    archive: np.ndarray
    offset: np.ndarray
    keys: Words
    ranges: Words
    hashes: np.ndarray
    order: np.ndarray
    frames: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    dim: int = 0
    mapped: bool = False

    def __len__(self):
        return len(self.keys)

    def find(self, key: str) -> int | None:
        """The place of a key, None where the table has none."""
        wanted = np.uint64(_hash(key.encode()))
        place = int(self.hashes.searchsorted(wanted))
        while place < len(self) and self.hashes[place] == wanted:
            found = int(self.order[place])
            if self.keys[found] == key:
                return found
            place += 1
        return None


def open_index(source: Rspecifier, kind: str) -> Index:
    """The index of a table: from its sidecar where that holds, else by reading the script or the archive."""
    index = None
    if classify_input(source.filename) == "file":
        with at(str(source)):
            index = _load(source.filename, file_identity(source.filename))
    return index or _build(source, kind)


def save_index(index: Index, path: str, started_ns: int, identity: list[int]):
    """Keep an index beside the table at `path`, where that is worth it and possible; a read-only folder is no error.

    started_ns, identity: the clock and the file's identity before the table was read.
    """
    if len(index) < _LEAST_LINES or len(index.archives) > _MOST_ARCHIVES:
        return
    with suppress(OSError, SertkError):
        archives = [file_identity(name) for name in index.archives]
        youngest = max(max(found[3:]) for found in [identity, *(archives if len(index.frames) else [])])
        if youngest + _YOUNG_NS > started_ns or file_identity(path) != identity:
            return
        _write(index, path, identity, archives)


def _write(index: Index, path: str, identity, archives):
    arrays = {
        "archive": index.archive,
        "offset": index.offset,
        "key_bytes": index.keys.blob,
        "key_ends": index.keys.ends,
        "hashes": index.hashes,
        "order": index.order,
        "range_bytes": index.ranges.blob,
        "range_ends": index.ranges.ends,
        "frames": index.frames,
    }
    head = {
        "magic": _MAGIC,
        "identity": identity,
        "archives": index.archives,
        "archive_identities": archives,
        "dim": index.dim,
        "lengths": {name: len(values) for name, values in arrays.items()},
    }
    text = json.dumps(head).encode()
    body = io.BytesIO()
    body.write(len(text).to_bytes(8, "little") + text)
    for values in arrays.values():
        body.write(bytes(-body.tell() % 64))
        body.write(np.ascontiguousarray(values).data)
    fd, tmp = tempfile.mkstemp(dir=os.path.dirname(os.path.realpath(path)), prefix=".index")
    try:
        with open(fd, "wb") as file:
            np.lib.format.write_array(file, np.frombuffer(body.getbuffer(), np.uint8), allow_pickle=False)
        os.chmod(tmp, 0o644)
        os.replace(tmp, sidecar_path(path))
    except BaseException:
        with suppress(OSError):
            os.unlink(tmp)
        raise


def sidecar_path(path: str) -> str:
    return f"{os.path.realpath(path)}.index.npy"


def _load(path: str, identity: list[int]) -> Index | None:
    """The index kept beside `path`, None where there is none, or where it is of another file or damaged."""
    try:
        body = np.load(sidecar_path(path), mmap_mode="r", allow_pickle=False).view(np.ndarray)
        size = int.from_bytes(body[:8].tobytes(), "little")
        head = json.loads(body[8 : 8 + size].tobytes())
        if head["magic"] != _MAGIC or head["identity"] != identity:
            return None
        found, place = {}, 8 + size
        for name, dtype in _ARRAYS.items():
            place += -place % 64
            length = head["lengths"][name] * np.dtype(dtype).itemsize
            found[name] = body[place : place + length].view(dtype)
            place += length
        if place != len(body):
            return None
        archives, dim = head["archives"], head["dim"]
        if len(found["frames"]) and [file_identity(name) for name in archives] != head["archive_identities"]:
            found["frames"], dim = found["frames"][:0], 0
    except (OSError, ValueError, EOFError, LookupError, TypeError, SertkError):
        return None
    keys = Words(found["key_bytes"], found["key_ends"])
    ranges = Words(found["range_bytes"], found["range_ends"])
    return Index(archives, found["archive"], found["offset"], keys, ranges, found["hashes"], found["order"],
                 found["frames"], dim, mapped=True)  # fmt: skip


def _build(source: Rspecifier, kind: str) -> Index:
    archives: dict[str, int] = {}
    archive, offset = array("i"), array("q")
    keys, key_ends = bytearray(), array("q", [0])
    ranges, range_ends = bytearray(), array("q", [0])
    hashes = array("Q")
    for key, path, start, part in _script_places(source) if source.script else _archive_places(source, kind):
        archive.append(archives.setdefault(path, len(archives)))
        offset.append(start)
        raw = key.encode()
        keys += raw
        key_ends.append(len(keys))
        hashes.append(_hash(raw))
        if part is not None:
            ranges += part.encode()
        range_ends.append(len(ranges))
    if not hashes:
        raise SertkError(f"{source}: has no entries")
    hashed = np.frombuffer(hashes, np.uint64)
    order = np.argsort(hashed, kind="stable").astype(np.int32)
    if not ranges:
        range_ends = array("q", [0])
    return Index(
        list(archives),
        np.frombuffer(archive, np.int32),
        np.frombuffer(offset, np.int64),
        Words(np.frombuffer(bytes(keys), np.uint8), np.frombuffer(key_ends, np.int64)),
        Words(np.frombuffer(bytes(ranges), np.uint8), np.frombuffer(range_ends, np.int64)),
        hashed[order],
        order,
    )


def _script_places(source: Rspecifier):
    for entry in read_script(source):
        if classify_input(entry.name) not in ("file", "offset"):
            raise SertkError(f"{entry.where}: '{entry.name}' cannot be read at random: a file is wanted")
        path, start = split_offset(entry.name)
        yield entry.key, path, start, entry.range


def _archive_places(source: Rspecifier, kind: str):
    if classify_input(source.filename) != "file":
        raise SertkError(f"{source}: cannot be read at random: a file is wanted")
    with open_input(source.filename) as stream:
        for key, where in read_keys(stream, source):
            start = stream.position
            with at(where):
                header = read_header(stream, kind)
            stream.seek(start + header.start + header.nbytes)
            yield key, source.filename, start, None


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def file_identity(path: str) -> list[int]:
    """What tells a file from any other, and from itself before a change: device, inode, size, both times."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
