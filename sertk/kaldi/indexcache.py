"""Cache of the index of a large table, in `x.scp.index.npy` beside it, memory-mapped at the next opening.

The cache is valid while the script is the same file (inode, size, both times) and its checksum matches; the shapes in it,
while the archives are the same files too. A script that changed in the last two seconds is not cached, since a later change
could have the same time.
"""

import io
import json
import os
import zlib
from contextlib import suppress

import numpy as np

from sertk.errors import SertkError, error_context
from sertk.kaldi.index import SHAPE, Index, build_index
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.words import Words

# Smaller scripts are read as fast, and their folders get no cache.
_LEAST_LINES = 10_000
_MOST_ARCHIVES = 10_000
# The coarsest time stamps of file systems in use.
_YOUNG_NS = 2_000_000_000
_MAGIC = "sertk-index-2"
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


def open_index(source: Rspecifier, kind: str) -> Index:
    """The index of a table, from its cache if that is valid, else from the script or the archive.

    Raises:
        SertkError: the script or archive is damaged, or cannot be read at random.
    """
    index = None
    if source.rxfilename.kind == "file":
        with error_context(str(source)):
            index = _load(source.filename, file_identity(source.filename))
    return index or build_index(source, kind)


def save_index(index: Index, path: str, started_ns: int, identity: list[int]) -> None:
    """Cache the index of a large table beside it; a read-only folder is not an error.

    Args:
        index: the index.
        path: of the script or archive.
        started_ns: time before the table was read, in ns.
        identity: of the file before it was read.
    """
    if len(index) < _LEAST_LINES or len(index.archives) > _MOST_ARCHIVES:
        return
    with suppress(OSError, SertkError):
        youngest = max(max(times) for _, _, *times in [identity, *index.identities])
        if youngest + _YOUNG_NS > started_ns or file_identity(path) != identity:
            return
        _write(index, path, identity)


def _write(index: Index, path: str, identity: list[int]) -> None:
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
    import tempfile  # takes 5 ms, and few tables are large

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
    """The file that caches the index of `path`."""
    return f"{os.path.realpath(path)}.index.npy"


def _load(path: str, identity: list[int]) -> Index | None:
    """The cached index of `path`, None if there is none or it is outdated or damaged."""
    try:
        body = np.load(sidecar_path(path), mmap_mode="r", allow_pickle=False).view(np.ndarray)
        size = int.from_bytes(body[8:16].tobytes(), "little")
        head = json.loads(body[16 : 16 + size].tobytes())
        if head["magic"] != _MAGIC or head["identity"] != identity:
            return None
        if _checksum(sidecar_path(path), len(body)) != int.from_bytes(body[:8].tobytes(), "little"):
            return None
        arrays, place = {}, 16 + size
        for name, dtype in _ARRAYS.items():
            place += -place % 64
            length = head["lengths"][name] * np.dtype(dtype).itemsize
            arrays[name] = body[place : place + length].view(dtype)
            place += length
        if place != len(body):
            return None
        archives, identities, dim = head["archives"], head["archive_identities"], head["dim"]
        if len(arrays["frames"]) and [file_identity(name) for name in archives] != identities:
            arrays["frames"], arrays["shapes"], identities, dim = arrays["frames"][:0], arrays["shapes"][:0], [], 0
    except (OSError, ValueError, EOFError, LookupError, TypeError, SertkError):
        return None
    keys = Words(arrays.pop("key_bytes"), arrays.pop("key_ends"))
    ranges = Words(arrays.pop("range_bytes"), arrays.pop("range_ends"))
    return Index(archives, keys=keys, ranges=ranges, identities=identities, dim=dim, mapped=True, **arrays)


def _checksum(path: str, size: int) -> int:
    """crc32 of the last `size` bytes of a file without the first 8 of them; read, not mapped, to take no memory."""
    checksum, piece = 0, bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        file.seek(8 - size, os.SEEK_END)
        while count := file.readinto(piece):
            checksum = zlib.crc32(memoryview(piece)[:count], checksum)
    return checksum


def file_identity(path: str | int) -> list[int]:
    """Inode, size, mtime and ctime (ns) of a file, a path or a descriptor: equal only for the same, unchanged file.

    Not the device, whose number differs between machines that share a disk.

    Raises:
        SertkError: it cannot be read.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
