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
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.codec import KINDS, decode
from sertk.kaldi.manifest import Manifest, check_archive, file_sha256, joined, load_manifest
from sertk.kaldi.ranges import cut, split_range
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import Input, classify_input, open_input, split_offset
from sertk.kaldi.writer import table_writer

__all__ = [
    "open_table",
    "read_manifest",
    "read_raw_table",
    "read_table",
    "script_entries",
    "table_writer",
    "verify_table",
]

log = logging.getLogger("sertk")
# A key longer than this is taken for damage.
_LONGEST_KEY = 4096
_WORD = re.compile(rb"[^ \t\n\r\f\v]*")
_OPEN_FILES = 8


class Entry(NamedTuple):
    """A script's line: `name` is the rxfilename without its range; `label` and `number` are the script and the line."""

    key: str
    name: str
    range: str | None
    label: str
    number: int

    @property
    def where(self) -> str:
        return f"{self.label}:{self.number}: key {self.key}"

    @property
    def full_name(self) -> str:
        return self.name if self.range is None else f"{self.name}[{self.range}]"


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
    read = _read_script(source, kind, skip or _warn) if source.script else _read_archive(source, kind)
    seen = False
    for key, value in read:
        seen = True
        yield key, value
    if not seen:
        raise SertkError(f"{source}: no entry could be read")


def script_entries(source: Rspecifier | str) -> Iterator[tuple[str, str]]:
    """(key, rxfilename with its range) of each line of a `scp:` table: for wav.scp."""
    source = as_rspecifier(source)
    if not source.script:
        raise SertkError(f"{source}: a script (scp:…) is wanted")
    entry = None
    for entry in read_script(source):
        yield entry.key, entry.full_name
    if entry is None:
        raise SertkError(f"{source}: has no entries")


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


def read_script(source: Rspecifier) -> Iterator[Entry]:
    """The lines of a script; SertkError for a malformed one, a key that comes twice or out of the promised order."""
    check = _Order(source)
    with open_input(source.filename) as stream:
        number = 0
        while line := stream.readline():
            number += 1
            try:
                key, name = line.split(None, 1)
                entry = Entry(key.decode(), name.rstrip().decode(), None, stream.label, number)
            except UnicodeDecodeError:
                raise SertkError(f"{stream.label}:{number}: not UTF-8") from None
            except ValueError:
                text = line[:80].decode("utf-8", "replace").strip()
                raise SertkError(f"{stream.label}:{number}: a key and a file name are wanted: '{text}'") from None
            if not check.good(entry.key):
                raise SertkError(f"{entry.where}: {check.reason(entry.key)}")
            if entry.name.endswith("]"):
                with at(entry.where):
                    name, text = split_range(entry.name)
                entry = entry._replace(name=name, range=text)
            yield entry


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
    with at(str(source)):
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
                with at(where):
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
                with at(entry.where):
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
    with at(f"{path} at byte {offset}"):
        return decode(stream, kind)


def read_keys(stream: Input, source: Rspecifier) -> Iterator[tuple[str, str]]:
    """The keys of an archive, each with the stream at its value, and where that is."""
    check = _Order(source)
    while True:
        place = f"{stream.label} at byte {stream.position}"
        key = _read_key(stream, place)
        if key is None:
            return
        where = f"{place}: key {key}"
        if not check.good(key):
            raise SertkError(f"{where}: {check.reason(key)}")
        yield key, where


def _read_key(stream: Input, place: str) -> str | None:
    while (head := stream.peek(64)) and head[:1].isspace():
        stream.read(len(head) - len(head.lstrip()))
    if not head:
        return None
    word = b""
    while True:
        part = _WORD.match(head)[0]
        word += stream.read(len(part))
        if len(part) < len(head) or len(word) > _LONGEST_KEY:
            break
        head = stream.peek(64)
        if not head:
            raise SertkError(f"{place}: the file ends within a key ({word[:32]!r})")
    if len(word) > _LONGEST_KEY or stream.read(1) not in (b" ", b"\t") or b"\0" in word:
        raise SertkError(f"{place}: no key begins here ({word[:32]!r}): the archive is damaged")
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise SertkError(f"{place}: no key begins here ({word[:32]!r}): the archive is damaged") from None


def open_table(source: Rspecifier | str, kind: str = "matrix"):
    """Open a table for random access: see randomtable.py."""
    from sertk.kaldi.randomtable import RandomTable  # it reads scripts with what stands here

    return RandomTable(as_rspecifier(source), kind)


class _Order:
    """Knows keys that come twice, and with `s` those that are not in LC_ALL=C order."""

    def __init__(self, source: Rspecifier):
        self.sorted = source.sorted
        self.last = ""
        self.seen = set()

    def good(self, key: str) -> bool:
        if self.sorted:
            rises = key > self.last
            if rises:
                self.last = key
            return rises
        new = key not in self.seen
        self.seen.add(key)
        return new

    def reason(self, key: str) -> str:
        if self.sorted and key != self.last:
            return f"comes after {self.last}: not in the order that 's' promises (LC_ALL=C)"
        return "this key comes twice"


class at:
    """Says where, in front of what a SertkError says."""

    def __init__(self, where: str):
        self.where = where

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if isinstance(error, SertkError):
            raise SertkError(f"{self.where}: {error}") from None


def _warn(key: str, reason: str):
    log.warning("skipped %s: %s", key, reason)
