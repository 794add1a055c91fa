"""Where each entry of a table lies, as arrays: 40 bytes and its key an entry, and nothing at all when they are mapped.

A large script's index is kept beside it in `x.scp.index.npy`, for the next opening. It is believed only while the
script is the very file that it was made from (inode, size, both times) and its own checksum holds, and the shapes in
it only while the archives are the same files. It is not made from a script so young that a later change could carry
the same time.
"""

import io
import json
import os
import tempfile
import zlib
from array import array
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from sertk.errors import SertkError, error_context
from sertk.kaldi.archive import read_keys
from sertk.kaldi.codec import read_header
from sertk.kaldi.script import read_script
from sertk.kaldi.scriptarrays import script_arrays
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.streams import classify_input, open_input, split_offset
from sertk.kaldi.words import Words, hash_word

# Below this, reading the script is as fast, and data folders stay clean.
_LEAST_LINES = 10_000
_MOST_ARCHIVES = 10_000
# Two seconds: the coarsest clock of a file system in use.
_YOUNG_NS = 2_000_000_000
_MAGIC = "sertk-index-2"
# A value's header (codec.Header), as `item()` gives it.
SHAPE = np.dtype([("form", "S3"), ("start", "u1"), ("rows", "<i4"), ("cols", "<i4"), ("low", "<f4"), ("span", "<f4")])
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
    "shapes": SHAPE,
}


class SequentialOnly(SertkError):
    """An entry that is read from its beginning to its end or not at all: a command's output, or text."""


@dataclass
class Index:
    """The entries of a table in its order.

    archives: file names; archive: which of them; offset: of the value's first byte
    keys: all keys; ranges: Kaldi's ranges, "" for none, empty where no entry has one
    frames: rows of each entry, empty as long as nobody asked; dim: columns, 0 as long
    shapes: the header of each entry (SHAPE), of the files that `identities` tells; empty as long
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
    shapes: np.ndarray = field(default_factory=lambda: np.zeros(0, SHAPE))
    identities: list[list[int]] = field(default_factory=list)
    dim: int = 0
    mapped: bool = False

    def __len__(self):
        return len(self.keys)

    def find(self, key: str) -> int | None:
        """The place of a key, None where the table has none."""
        wanted = np.uint64(hash_word(key.encode()))
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
        with error_context(str(source)):
            index = _load(source.filename, file_identity(source.filename))
    return index or _build(source, kind)


def save_index(index: Index, path: str, started_ns: int, identity: list[int]):
    """Keep an index beside the table at `path`, where that is worth it and possible; a read-only folder is no error.

    started_ns, identity: the clock and the file's identity before the table was read.
    """
    if len(index) < _LEAST_LINES or len(index.archives) > _MOST_ARCHIVES:
        return
    with suppress(OSError, SertkError):
        youngest = max(max(found[2:]) for found in [identity, *index.identities])
        if youngest + _YOUNG_NS > started_ns or file_identity(path) != identity:
            return
        _write(index, path, identity)


def _write(index: Index, path: str, identity):
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
        "shapes": index.shapes,
    }
    head = {
        "magic": _MAGIC,
        "identity": identity,
        "archives": index.archives,
        "archive_identities": index.identities,
        "dim": index.dim,
        "lengths": {name: len(values) for name, values in arrays.items()},
    }
    text = json.dumps(head).encode()
    body = io.BytesIO()
    body.write(bytes(8) + len(text).to_bytes(8, "little") + text)
    for values in arrays.values():
        body.write(bytes(-body.tell() % 64))
        body.write(np.ascontiguousarray(values).view(np.uint8).data)
    checksum = zlib.crc32(body.getbuffer()[8:])
    body.seek(0)
    body.write(checksum.to_bytes(8, "little"))
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
        size = int.from_bytes(body[8:16].tobytes(), "little")
        head = json.loads(body[16 : 16 + size].tobytes())
        if head["magic"] != _MAGIC or head["identity"] != identity:
            return None
        if _checksum(sidecar_path(path), len(body)) != int.from_bytes(body[:8].tobytes(), "little"):
            return None
        found, place = {}, 16 + size
        for name, dtype in _ARRAYS.items():
            place += -place % 64
            length = head["lengths"][name] * np.dtype(dtype).itemsize
            found[name] = body[place : place + length].view(dtype)
            place += length
        if place != len(body):
            return None
        archives, identities, dim = head["archives"], head["archive_identities"], head["dim"]
        if len(found["frames"]) and [file_identity(name) for name in archives] != identities:
            found["frames"], found["shapes"], identities, dim = found["frames"][:0], found["shapes"][:0], [], 0
    except (OSError, ValueError, EOFError, LookupError, TypeError, SertkError):
        return None
    keys = Words(found["key_bytes"], found["key_ends"])
    ranges = Words(found["range_bytes"], found["range_ends"])
    return Index(archives, found["archive"], found["offset"], keys, ranges, found["hashes"], found["order"],
                 found["frames"], found["shapes"], identities, dim, mapped=True)  # fmt: skip


def _checksum(path: str, size: int) -> int:
    """crc32 of the last `size` bytes of a file without their first 8, read and not mapped: it costs no memory."""
    found, piece = 0, bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        file.seek(8 - size, os.SEEK_END)
        while got := file.readinto(piece):
            found = zlib.crc32(memoryview(piece)[:got], found)
    return found


def _build(source: Rspecifier, kind: str) -> Index:
    found = _plain_script(source) if source.script and not source.sorted else None
    if found is None:
        found = _collected(_script_places(source) if source.script else _archive_places(source, kind))
    archives, archive, offset, keys, ranges, hashes = found
    if not len(keys):
        raise SertkError(f"{source}: has no entries")
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    return Index(archives, archive, offset, keys, ranges, hashes[order], order)


def _plain_script(source: Rspecifier):
    """A script file without anything unusual in it, read at once; None where it has to be read line by line."""
    with open_input(source.filename) as stream:
        found = script_arrays(stream) if stream.size else None
    if found is None:
        return None
    archives, archive, offset, keys = found
    hashes = keys.hashes()
    ordered = np.sort(hashes)
    if (ordered[1:] == ordered[:-1]).any():
        return None  # most likely a key that comes twice: that is an error with a place
    return archives, archive, offset, keys, Words.of([]), hashes


def _collected(places):
    archives: dict[str, int] = {}
    archive, offset = array("i"), array("q")
    keys, key_ends = bytearray(), array("q", [0])
    ranges, range_ends = bytearray(), array("q", [0])
    for key, path, start, part in places:
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
    return (
        list(archives),
        np.frombuffer(archive, np.int32),
        np.frombuffer(offset, np.int64),
        keys,
        ranges,
        keys.hashes(),
    )


def _script_places(source: Rspecifier):
    for entry in read_script(source):
        if classify_input(entry.name) not in ("file", "offset"):
            raise SequentialOnly(f"{entry.where}: '{entry.name}' cannot be read at random: a file is wanted")
        path, start = split_offset(entry.name)
        yield entry.key, path, start, entry.range


def _archive_places(source: Rspecifier, kind: str):
    if classify_input(source.filename) != "file":
        raise SertkError(f"{source}: cannot be read at random: a file is wanted")
    with open_input(source.filename) as stream:
        for key, where in read_keys(stream, source):
            start = stream.position
            with error_context(where):
                header = read_header(stream, kind)
            stream.seek(start + header.start + header.nbytes)
            yield key, source.filename, start, None


def file_identity(path: str | int) -> list[int]:
    """What tells a file (a path, or a descriptor) from any other, and from itself before a change: inode, size, both
    times. Not the device: that number differs between the machines that share a disk."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
