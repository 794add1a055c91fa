"""Reading Kaldi tables one entry after the other; writing and random access are at hand here too.

    for key, feats in read_table("scp:feats.scp"):  # feats: float32 (frames, bins)
        …
    with table_writer("ark,scp:x.ark,x.scp") as write:
        write(key, feats)
    with open_table("scp:feats.scp") as table:
        table.rows(key, 100, 300)

Every error is a SertkError that names file, key and offset.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from sertk.errors import SertkError, error_context
from sertk.kaldi.archive import read_keys
from sertk.kaldi.codec import KINDS, decode
from sertk.kaldi.manifest import Manifest, check_archive, file_sha256, joined, load_manifest
from sertk.kaldi.randomtable import RandomTable
from sertk.kaldi.ranges import cut
from sertk.kaldi.script import Entry, read_script
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import Input, classify_input, open_input, split_offset
from sertk.kaldi.writer import table_writer

__all__ = [
    "filled",
    "open_table",
    "read_manifest",
    "read_raw_table",
    "read_table",
    "table_writer",
    "verify_table",
]

log = logging.getLogger("sertk")
_OPEN_FILES = 8
EMPTY = "is empty"


def read_table(
    source: Rspecifier | str,
    kind: str = "matrix",
    verify: bool = False,
    skip: Callable[[str, str], None] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """The entries of a table, in its order.

    kind: "matrix" gives float32 (frames, bins), "vector" float32 (dim,), "ints" int32 (size,)
    verify: check the sha256 of every archive first
    skip: called with (key, reason) for each bad entry that `p` passes over (default: a warning)
    Raises SertkError for what cannot be read, for a key that comes twice, NaN or infinity, keys out of order where `s`
    promises order, a pipe that fails, and a table without entries.
    """
    assert kind in KINDS, kind
    source = as_rspecifier(source)
    if verify:
        verify_table(source)
    read = _read_script(source, kind, skip or warn_of_skipped) if source.script else _read_archive(source, kind)
    seen = False
    for key, value in read:
        seen = True
        yield key, value
    if not seen:
        raise SertkError(f"{source}: no entry could be read")


def filled(
    entries: Iterable[tuple[str, np.ndarray]], skip: Callable[[str, str], None] | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """The entries that hold numbers.

    Kaldi's tools write matrices without rows (of a segment that is too short, say) and copy them: one costs its key.

    skip: called with (key, reason) for each empty matrix or vector (default: a warning)
    """
    for key, value in entries:
        if value.size:
            yield key, value
        else:
            (skip or warn_of_skipped)(key, EMPTY)


def read_raw_table(source: Rspecifier | str) -> Iterator[tuple[str, Input]]:
    """(key, stream that stands at the value) of each entry, for values that are not numbers (recordings).

    From an archive, exactly the value must be read before the next entry is asked for.
    """
    source = as_rspecifier(source)
    seen = False
    if source.script:
        for entry in read_script(source):
            seen = True
            if entry.range is not None:
                raise SertkError(f"{entry.where}: a range ([{entry.range}]) of something that is not a matrix")
            with open_input(entry.name) as stream:
                yield entry.key, stream
    else:
        with open_input(source.filename) as stream:
            for key, _ in read_keys(stream, source):
                seen = True
                yield key, stream
    if not seen:
        raise SertkError(f"{source}: has no entries")


def verify_table(source: Rspecifier | str) -> list[Manifest]:
    """Check all that a table consists of against the manifests; SertkError where anything differs or has none.

    A script that was not written with the archive (sorted, cut, joined from others) is checked entry by entry: its
    keys stand before the offsets that it names.
    """
    source = as_rspecifier(source)
    if classify_input(source.filename) != "file":
        raise SertkError(f"{source}: cannot be verified: it is not a file")
    if not source.script:
        return [check_archive(source.filename)]
    files: dict[str, Input] = {}
    found = []
    try:
        for entry in read_script(source):
            if classify_input(entry.name) not in ("file", "offset"):
                raise SertkError(f"{entry.where}: cannot be verified: it is a pipe")
            path, offset = split_offset(entry.name)
            if path not in files:
                files[path] = open_input(path)
                found.append(_check_written_with(check_archive(path), path, source.filename))
            wanted = f"{entry.key} ".encode()
            start = max(offset - len(wanted), 0)
            if os.pread(files[path].fileno(), offset - start, start) != wanted:
                raise SertkError(f"{entry.where}: is damaged: the entry at byte {offset} of {path} has another key")
    finally:
        for stream in files.values():
            stream.close()
    return found


def read_manifest(source: Rspecifier | str | os.PathLike) -> Manifest | None:
    """What the manifests say of a table (or of the path of a script or archive); None where one has none.

    A script that names several archives gets one answer; SertkError where they were made with different settings.
    """
    if not isinstance(source, Rspecifier):
        text = str(source)
        if text.partition(":")[0].split(",")[0] not in ("ark", "scp"):
            text = f"{'scp' if text.endswith('.scp') else 'ark'}:{text}"
        source = as_rspecifier(text)
    if classify_input(source.filename) != "file":
        return None
    if not source.script:
        return load_manifest(source.filename)
    paths: dict[str, None] = {}
    for entry in read_script(source):
        if classify_input(entry.name) == "pipe":
            return None
        paths[split_offset(entry.name)[0]] = None
    parts = [load_manifest(path) for path in paths]
    with error_context(str(source)):
        return joined(parts) if parts and None not in parts else None


def _check_written_with(manifest: Manifest, archive: str, script: str) -> Manifest:
    if manifest.script:
        own = os.path.join(os.path.dirname(os.path.realpath(archive)), manifest.script)
        if os.path.realpath(own) == os.path.realpath(script) and file_sha256(script) != manifest.script_sha256:
            raise SertkError(f"{script}: is damaged: its sha256 is not the one in the manifest of {archive}")
    return manifest


def _read_archive(source: Rspecifier, kind: str):
    with open_input(source.filename) as stream:
        try:
            for key, where in read_keys(stream, source):
                with error_context(where):
                    value = decode(stream, kind)
                yield key, value
        except SertkError as error:
            if not source.permissive:
                raise
            log.warning("%s: stopped here, as 'p' allows", error)


def _read_script(source: Rspecifier, kind: str, skip):
    files: dict[str, Input] = {}
    try:
        for entry in read_script(source):
            try:
                with error_context(entry.where):
                    value = cut(_read_entry(entry, kind, files), entry.range)
            except SertkError as error:
                if not source.permissive:
                    raise
                skip(entry.key, str(error))
                continue
            yield entry.key, value
    finally:
        for stream in files.values():
            stream.close()


def _read_entry(entry: Entry, kind: str, files: dict[str, Input]) -> np.ndarray:
    """One value; the last few archives stay open."""
    form = classify_input(entry.name)
    if form in ("pipe", "stdin"):
        with open_input(entry.name) as stream:
            return decode(stream, kind)
    path, offset = split_offset(entry.name) if form == "offset" else (entry.name, 0)
    stream = files.pop(path, None)
    if stream is None:
        stream = open_input(path)
        if stream.size is None:
            with stream:
                return decode(stream, kind)
        if len(files) >= _OPEN_FILES:
            files.pop(next(iter(files))).close()
    files[path] = stream
    if offset > stream.size:
        raise SertkError(f"{path}: offset {offset} is past the end ({stream.size} bytes)")
    stream.seek(offset)
    with error_context(f"{path} at byte {offset}"):
        return decode(stream, kind)


def open_table(source: Rspecifier | str, kind: str = "matrix"):
    """Open a table for random access: see randomtable.py."""
    return RandomTable(as_rspecifier(source), kind)


def warn_of_skipped(key: str, reason: str) -> None:
    """Say that an entry is left out."""
    log.warning("skipped %s: %s", key, reason)
