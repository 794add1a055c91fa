"""Tables that take hours to make: what is written survives a kill, and the same call goes on after it.

with resumable_writer("ark,scp:x.ark,x.scp", keys, identity={"seed": 0}) as table:
    for key in keys[table.done :]:
        table.write(key, matrix_of(key))
        table.checkpoint()

Until it is whole the table is `x.ark.partial` and `x.scp.partial`; `x.ark.progress` says how much of them is good, and
what they were made with. Then all is published as writer.py does it.
"""

import fcntl
import hashlib
import json
import logging
import os
from contextlib import contextmanager

from sertk.atomic import atomic_file, remove
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Wspecifier, as_wspecifier
from sertk.kaldi.streams import Output
from sertk.kaldi.writer import ArchiveWriter, Target, publishable

log = logging.getLogger("sertk")
_PIECE = 1 << 22


def is_resumable(target: Wspecifier) -> bool:
    """True where the archive is a file: what went into a pipe is gone."""
    return target.archive is not None and publishable(target.archive)


def begun_with(target: Wspecifier) -> dict:
    """The identity and "settings" that a partial table was begun with; nothing where there is none, or it is damaged."""
    try:
        with open(_progress(target), encoding="utf-8") as file:
            return dict(json.load(file)["identity"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}


@contextmanager
def resumable_writer(target: Wspecifier | str, keys: list[str], *, compress: str = "none",
                     settings: dict | None = None, identity: dict | None = None):  # fmt: skip
    """A context that gives a ResumableWriter of matrices, for a target that `is_resumable`.

    keys: of all entries, in the order that they will be written in
    compress, settings: as table_writer takes them
    identity: what else the numbers are a function of (plain JSON): with another one a partial table is begun anew
    The table is published when the block ends well; when it raises, what was last checkpointed stays for the next call.
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
    """An archive (with a script) whose finished part outlives the process."""

    def __init__(self, target: Wspecifier, keys: list[str], compress: str, settings: dict, identity: dict):
        self.keys, self.identity = keys, identity | {"settings": settings, "compress": compress, "table": str(target)}
        self.progress = _progress(target)
        self.good: dict[str, tuple[int, hashlib._Hash]] = {}
        entries, reason = self._read_progress([name for name in (target.archive, target.script) if name])
        super().__init__(target, "matrix", compress, settings)
        if reason:  # only now: while another process holds the table, what it has done is not ours to drop
            log.warning("%s: %s: beginning anew", _partial(target.archive), reason)
            remove(self.progress)
        if entries:
            self.seen, self.frames, self.dims = set(keys[: entries[0]]), entries[1], set(entries[2])

    @property
    def done(self) -> int:
        """Entries that are written."""
        return len(self.seen)

    def open(self, name: str) -> Target:
        return _Partial(name, *self.good.get(name, (0, hashlib.sha256())))

    def checkpoint(self):
        """From here the next call goes on, whatever happens to this one."""
        parts = {part.name: part for part in (self.archive, self.script) if part}
        for part in parts.values():
            part.output.flush()
            os.fsync(part.output.fd)
        good = {name: [part.output.position, part.digest.hexdigest()] for name, part in parts.items()}
        with atomic_file(self.progress, "w") as file:
            json.dump({"identity": self.identity, "entries": [self.done, self.frames, sorted(self.dims)],
                       "good": good}, file)  # fmt: skip

    def finish(self):
        super().finish()
        remove(self.progress)

    def abandon(self):
        kept = os.path.exists(self.progress)
        for part in (self.archive, self.script):
            if part and kept:
                part.output.abandon()
        if not kept:
            super().abandon()
        elif self.manifest:
            self.manifest.abandon()

    def _read_progress(self, names: list[str]) -> tuple[list | None, str]:
        """What a killed run has left, [entries, frames, dimensions], or why it cannot be gone on with."""
        if not os.path.exists(self.progress):
            return None, ""
        reason, entries = "", None
        try:
            with open(self.progress, encoding="utf-8") as file:
                found = json.load(file)
            before, entries = found["identity"], found["entries"]
            for name in sorted(before.keys() | self.identity.keys()):
                if before.get(name) != self.identity.get(name):
                    reason = reason or f"was begun with {_difference(name, before.get(name), self.identity.get(name))}"
            for name in names if not reason else ():
                size, wanted = found["good"][name]
                digest = _digest(_partial(name), size)
                if digest.hexdigest() != wanted:
                    reason = "is damaged"
                self.good[name] = (size, digest)
        except FileNotFoundError:
            reason = "is gone"
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            reason = "is damaged"
        if reason:
            self.good = {}
        return (None if reason else entries), reason


class _Partial(Target):
    """A file that is written on from byte `start`, `digest` being that of what stands before."""

    def __init__(self, name: str, start: int, digest):
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
        except OSError:  # a file system without locks: as with any other table, two writers are the user's to avoid
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


def _digest(path: str, size: int):
    """The sha256 of a file's first `size` bytes, as an object that goes on; ValueError where it is shorter."""
    digest, left = hashlib.sha256(), size
    with open(path, "rb") as file:
        while left:
            piece = file.read(min(_PIECE, left))
            if not piece:
                raise ValueError(path)
            digest.update(piece)
            left -= len(piece)
    return digest


def _difference(name: str, before, now) -> str:
    """`name` and its two values; of two dictionaries the first entry that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        name = next(key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key))
        before, now = before.get(name), now.get(name)
    return f"{name}={before}, now it is {now}"
