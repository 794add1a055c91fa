"""Write tables that take hours: after a kill, a rerun resumes from the last checkpoint.

Example:
    with resumable_writer("ark,scp:x.ark,x.scp", keys, identity={"seed": 0}) as table:
        for key in keys[table.done :]:
            table.write(key, matrix_of(key))
            table.checkpoint()

An unfinished table is `x.ark.partial` and `x.scp.partial`; `x.ark.progress` holds the last checkpoint, and what the table
depends on. A finished table is published as in writer.py, and its manifest says the same: a rerun can keep it.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from sertk.atomic import atomic_file, recover, remove
from sertk.errors import SertkError
from sertk.kaldi.manifest import Manifest, file_sha256, load_manifest, manifest_path
from sertk.kaldi.specifiers import Wspecifier, as_wspecifier
from sertk.kaldi.streams import Output
from sertk.kaldi.writer import ArchiveWriter, Target, publishable

log = logging.getLogger("sertk")
_PIECE = 1 << 22


def is_resumable(target: Wspecifier) -> bool:
    """True if the archive is a file; a pipe cannot be resumed."""
    return target.archive is not None and publishable(target.archive)


def begun_with(target: Wspecifier) -> dict[str, Any]:
    """The identity of an unfinished table, with its "settings"; {} if there is none, or it is damaged."""
    try:
        with open(_progress(target), encoding="utf-8") as file:
            return dict(json.load(file)["identity"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def finished_with(target: Wspecifier) -> dict[str, Any]:
    """The identity of a finished table, with its "settings"; {} if there is none, or one of its files is not as written."""
    names = [name for name in (target.archive, target.script) if name]
    if not all(map(publishable, names)):
        return {}
    with suppress(OSError, SertkError):
        recover([os.path.realpath(name) for name in (*names, manifest_path(target.archive))])
        manifest = load_manifest(target.archive)
        if (
            manifest
            and manifest.identity
            and (not target.script or file_sha256(target.script) == manifest.script_sha256)
        ):
            return manifest.identity | {"settings": manifest.settings}
    return {}


def whole_identity(
    target: Wspecifier, compress: str, settings: dict[str, Any], identity: dict[str, Any]
) -> dict[str, Any]:
    """All that a table depends on; the arguments are those of resumable_writer."""
    return identity | {"settings": settings, "compress": compress, "table": str(target)}


def change(before: dict[str, Any], now: dict[str, Any], ignored: Set[str] = frozenset()) -> str:
    """The first difference between two identities, in words; "" if there is none.

    Args:
        before: identity of a table, with its "settings".
        now: the identity that it should have.
        ignored: names that are not compared.
    """
    for name in sorted(before.keys() | now.keys()):
        if name not in ignored and before.get(name) != now.get(name):
            return _difference(name, before.get(name), now.get(name))
    return ""


@contextmanager
def resumable_writer(
    target: Wspecifier | str,
    keys: list[str],
    *,
    compress: str = "none",
    settings: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
) -> "Iterator[ResumableWriter]":
    """Context manager of a ResumableWriter of matrices.

    The table is published when the block ends; if it raises, the last checkpoint stays for the next run.

    Args:
        target: the table, which must be `is_resumable`.
        keys: of all entries, in the order of writing.
        compress: as table_writer.
        settings: as table_writer.
        identity: what else the numbers depend on (plain JSON); with another identity an unfinished table is started
            again.

    Raises:
        SertkError: as table_writer, or another process is writing the table.
    """
    writer = ResumableWriter(as_wspecifier(target), keys, compress, settings or {}, identity or {})
    try:
        yield writer
        assert len(writer.seen) == len(keys), (len(writer.seen), len(keys))
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


class ResumableWriter(ArchiveWriter):
    """An archive (with its script) whose checkpoints survive the process; the arguments are those of resumable_writer."""

    def __init__(
        self, target: Wspecifier, keys: list[str], compress: str, settings: dict[str, Any], identity: dict[str, Any]
    ) -> None:
        self.keys, self.identity = keys, whole_identity(target, compress, settings, identity)
        self.progress = _progress(target)
        # The checkpointed size and sha256 of archive and script.
        self.good: dict[str, tuple[int, hashlib._Hash]] = {}
        entries, reason = self._read_progress([name for name in (target.archive, target.script) if name])
        super().__init__(target, "matrix", compress, settings)
        if reason:  # only now, with the lock: another process may be writing the table
            log.warning("%s: %s: starting again", _partial(target.archive), reason)
            remove(self.progress)
        if entries:
            self.seen, self.frames, self.dims = set(keys[: entries[0]]), entries[1], set(entries[2])

    @property
    def done(self) -> int:
        """Number of written entries."""
        return len(self.seen)

    def open(self, name: str) -> Target:
        """The partial file of the archive or the script."""
        return _Partial(name, *self.good.get(name, (0, hashlib.sha256())))

    def checkpoint(self) -> None:
        """Save the state: the next run resumes from here."""
        parts = {part.name: part for part in (self.archive, self.script) if part}
        for part in parts.values():
            part.output.flush()
            os.fsync(part.output.fd)
        good = {name: [part.output.position, part.digest.hexdigest()] for name, part in parts.items()}
        entries = [self.done, self.frames, sorted(self.dims)]
        with atomic_file(self.progress, "w") as file:
            json.dump({"identity": self.identity, "entries": entries, "good": good}, file)

    def finish(self) -> None:
        """Publish the table and remove its checkpoint."""
        super().finish()
        remove(self.progress)

    def _manifest(self) -> Manifest:
        identity = {name: value for name, value in self.identity.items() if name != "settings"}
        return replace(super()._manifest(), identity=identity)

    def abandon(self) -> None:
        """Close the partial files after an error, and delete them if there is no checkpoint."""
        kept = os.path.exists(self.progress)
        for part in (self.archive, self.script):
            if part and kept:
                part.output.abandon()
        if not kept:
            super().abandon()
        elif self.manifest:
            self.manifest.abandon()

    def _read_progress(self, names: list[str]) -> tuple[list | None, str]:
        """The last checkpoint, [entries, frames, dimensions], or the reason why it cannot be resumed."""
        if not os.path.exists(self.progress):
            return None, ""
        reason, entries = "", None
        try:
            with open(self.progress, encoding="utf-8") as file:
                progress = json.load(file)
            entries, changed = progress["entries"], change(progress["identity"], self.identity)
            reason = f"was begun with {changed}" if changed else ""
            for name in names if not reason else ():
                size, sha256 = progress["good"][name]
                digest = _digest(_partial(name), size)
                if digest.hexdigest() != sha256:
                    reason = "is damaged"
                self.good[name] = (size, digest)
        except FileNotFoundError:
            reason = "is missing"
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            reason = "is damaged"
        if reason:
            self.good = {}
        return (None if reason else entries), reason


class _Partial(Target):
    """An unfinished file that is written from byte `start` on; `digest` is the sha256 up to there."""

    def __init__(self, name: str, start: int, digest: "hashlib._Hash") -> None:
        self.name = self.path = name
        self.tmp, self.digest = _partial(name), digest
        fd = os.open(self.tmp, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.output = Output(fd, name)
        self.output.position = start
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            busy = os.fstat(fd).st_size < start  # published since its progress was read
        except BlockingIOError:
            busy = True
        except OSError:  # a file system without locks
            busy = False
        if busy:
            os.close(fd)
            raise SertkError(f"{name}: another process is writing it")
        os.ftruncate(fd, start)
        os.lseek(fd, start, os.SEEK_SET)


def _progress(target: Wspecifier) -> str:
    return os.path.realpath(target.archive) + ".progress"


def _partial(name: str) -> str:
    return os.path.realpath(name) + ".partial"


def _digest(path: str, size: int) -> "hashlib._Hash":
    """The sha256 object of a file's first `size` bytes, to be updated with what follows.

    Raises:
        ValueError: the file is shorter.
    """
    digest, left = hashlib.sha256(), size
    with open(path, "rb") as file:
        while left:
            piece = file.read(min(_PIECE, left))
            if not piece:
                raise ValueError(path)
            digest.update(piece)
            left -= len(piece)
    return digest


def _difference(name: str, before: Any, now: Any) -> str:
    """`name` and its two values, or the first entry that differs if they are dictionaries."""
    if isinstance(before, dict) and isinstance(now, dict):
        name = next(key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key))
        before, now = before.get(name), now.get(name)
    return f"{name}={before}, now it is {now}"
