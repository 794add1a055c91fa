"""Read Kaldi tables sequentially; the public functions for writing and random access are here too.

Example:
    for key, feats in read_table("scp:feats.scp"):  # feats: (frames, bins) float32
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
from sertk.kaldi.codec import KINDS, NUMBERS, decode
from sertk.kaldi.manifest import Manifest, check_archive, file_sha256, joined, load_manifest
from sertk.kaldi.randomtable import RandomTable
from sertk.kaldi.ranges import cut
from sertk.kaldi.script import Entry, read_script
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import Input, open_input
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

Skip = Callable[[str, str], None]  # called with (key, reason) for each entry that is skipped

# Archives that stay open while a script is read.
_OPEN_FILES = 8
EMPTY = "is empty"


def read_table(
    source: Rspecifier | str,
    kind: str = "matrix",
    verify: bool = False,
    skip: Skip | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Read the entries of a table, in its order.

    Args:
        source: the table.
        kind: "matrix", "vector", "numbers" (matrices or vectors, as they are stored) or "ints".
        verify: check the sha256 of every archive first.
        skip: called with (key, reason) for each bad entry that `p` skips; default: a warning.

    Yields:
        (key, value), the value (frames, bins) or (dim,) float32, or (size,) int32.

    Raises:
        SertkError: an entry or pipe cannot be read, a value has NaN or infinite numbers, a key comes twice or out of the
            order that `s` promises, or the table has no entries.
    """
    assert kind in (*KINDS, NUMBERS), kind
    source = as_rspecifier(source)
    if verify:
        verify_table(source)
    entries = _read_script(source, kind, skip or warn_of_skipped) if source.script else _read_archive(source, kind)
    empty = True
    for key, value in entries:
        empty = False
        yield key, value
    if empty:
        raise SertkError(f"{source}: no entry could be read")


def filled(entries: Iterable[tuple[str, np.ndarray]], skip: Skip | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """The entries that are not empty.

    Kaldi's tools write and copy matrices without rows, for segments that are too short.

    Args:
        entries: as read_table yields them.
        skip: called with (key, reason) for each empty matrix or vector; default: a warning.
    """
    for key, value in entries:
        if value.size:
            yield key, value
        else:
            (skip or warn_of_skipped)(key, EMPTY)


def read_raw_table(source: Rspecifier | str) -> Iterator[tuple[str, Input]]:
    """Read a table of values that are not numbers (recordings).

    Yields:
        (key, stream at the value). In an archive, exactly the value must be read before the next entry.

    Raises:
        SertkError: an entry cannot be read, or the table has no entries.
    """
    source = as_rspecifier(source)
    empty = True
    if source.script:
        for entry in read_script(source):
            empty = False
            if entry.range is not None:
                raise SertkError(f"{entry.where}: a range ([{entry.range}]) of something that is not a matrix")
            with open_input(entry.rxfilename) as stream:
                yield entry.key, stream
    else:
        with open_input(source.rxfilename) as stream:
            for key, _ in read_keys(stream, source):
                empty = False
                yield key, stream
    if empty:
        raise SertkError(f"{source}: has no entries")


def verify_table(source: Rspecifier | str) -> list[Manifest]:
    """Check the files of a table against their manifests.

    Scripts may be sorted, cut or joined after writing, so each entry is checked: its key is before its offset.

    Returns:
        the manifest of each archive.

    Raises:
        SertkError: a file is damaged, not a regular file, or has no manifest.
    """
    source = as_rspecifier(source)
    if source.rxfilename.kind != "file":
        raise SertkError(f"{source}: cannot be verified: it is not a file")
    if not source.script:
        return [check_archive(source.filename)]
    files: dict[str, Input] = {}
    manifests = []
    try:
        for entry in read_script(source):
            place = entry.rxfilename
            if not place.stored:
                raise SertkError(f"{entry.where}: cannot be verified: it is a pipe")
            path, offset = place.path, place.offset
            if path not in files:
                files[path] = open_input(place.file)
                manifests.append(_check_written_with(check_archive(path), path, source.filename))
            expected = f"{entry.key} ".encode()
            start = max(offset - len(expected), 0)
            if os.pread(files[path].fileno(), offset - start, start) != expected:
                raise SertkError(f"{entry.where}: is damaged: the entry at byte {offset} of {path} has another key")
    finally:
        for stream in files.values():
            stream.close()
    return manifests


def read_manifest(source: Rspecifier | str | os.PathLike) -> Manifest | None:
    """Read the manifest of a table, joined if a script names several archives.

    Args:
        source: the table, or the path of a script or archive.

    Returns:
        None if an archive has no manifest.

    Raises:
        SertkError: the archives were made with different settings.
    """
    if not isinstance(source, Rspecifier):
        text = str(source)
        if text.partition(":")[0].split(",")[0] not in ("ark", "scp"):
            text = f"{'scp' if text.endswith('.scp') else 'ark'}:{text}"
        source = as_rspecifier(text)
    if source.rxfilename.kind != "file":
        return None
    if not source.script:
        return load_manifest(source.filename)
    paths: dict[str, None] = {}
    for entry in read_script(source):
        place = entry.rxfilename
        if not place.stored:
            return None
        paths[place.path] = None
    parts = [load_manifest(path) for path in paths]
    with error_context(str(source)):
        return joined(parts) if parts and None not in parts else None


def _check_written_with(manifest: Manifest, archive: str, script: str) -> Manifest:
    """Return the manifest of an archive; raise if the script is the one written with it, but has changed."""
    if manifest.script:
        own = os.path.join(os.path.dirname(os.path.realpath(archive)), manifest.script)
        if os.path.realpath(own) == os.path.realpath(script) and file_sha256(script) != manifest.script_sha256:
            raise SertkError(f"{script}: is damaged: its sha256 is not the one in the manifest of {archive}")
    return manifest


def _read_archive(source: Rspecifier, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    with open_input(source.rxfilename) as stream:
        try:
            for key, where in read_keys(stream, source):
                with error_context(where):
                    value = decode(stream, kind)
                yield key, value
        except SertkError as error:
            if not source.permissive:
                raise
            log.warning("%s: the rest is skipped (p)", error)


def _read_script(source: Rspecifier, kind: str, skip: Skip) -> Iterator[tuple[str, np.ndarray]]:
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
    """Read one value. `files` holds the open archives, the last used at the end."""
    place = entry.rxfilename
    if not place.stored:
        with open_input(place) as stream:
            return decode(stream, kind)
    path, offset = place.path, place.offset
    stream = files.pop(path, None)
    if stream is None:
        stream = open_input(place.file)
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


def open_table(source: Rspecifier | str, kind: str = "matrix") -> RandomTable:
    """Open a table for random access, see randomtable.py."""
    return RandomTable(as_rspecifier(source), kind)


def warn_of_skipped(key: str, reason: str) -> None:
    """Log a warning for an entry that is skipped."""
    log.warning("skipped %s: %s", key, reason)
