"""Results appear whole or not at all: a temporary file in the same folder, fsync, rename, fsync of the folder.

with atomic_file("RESULTS", "w") as file:
    file.write("…")
"""

import errno
import fcntl
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path

from sertk.errors import SertkError

# Where an old file waits while its successor is put in its place: a name that is nobody else's, `x.old` is a user's.
_ASIDE = ".sertk-old"


def temporary(path) -> str:
    """Where the content of `path` is written before it is published: beside the file that a link points at.

    Raises SertkError where the folder is missing.
    """
    found = os.path.realpath(path)
    if not os.path.isdir(os.path.dirname(found)):
        folder = os.path.dirname(found if os.path.islink(path) else path)
        raise SertkError(f"{path}: cannot be written: there is no folder {folder}")
    return found + ".tmp"


@contextmanager
def atomic_file(path, mode: str = "wb"):
    """Open `path` for writing ("w" or "wb"): it takes the content when the block ends well, else it stays as it was.

    A pipe, a device or an open file (/dev/null, /dev/stdout, /dev/fd/3) is written to as it is.

    Raises SertkError that names the file where it cannot be written.
    """
    how = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    if _is_stream(path):
        try:
            with open(path, mode.replace("w", "a"), **how) as file:  # "w" would empty what a shell has redirected it to
                yield file
        except OSError as error:
            raise SertkError(f"{path}: cannot be written: {error.strerror or error}") from error
        return
    tmp = temporary(path)
    try:
        with open(tmp, mode, **how) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish([(tmp, path)])
    except OSError as error:
        raise SertkError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(tmp)


def _is_stream(path) -> bool:
    named = re.fullmatch(r"/dev/std(out|err)|/dev/fd/\d+|/proc/\w+/fd/\d+", os.path.abspath(path))
    return bool(named) or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def publish(pairs: list[tuple[str, str]]):
    """Rename finished temporary files to their places, all or none: [(tmp, path), …], the one that commits last.

    Files that belong together must never be seen mixed (an old script with a new archive): with more than one, the
    old ones are moved aside first, the last of the list before the others, and come back when anything fails. After a
    kill in between, `recover` brings them back. Raises OSError.
    """
    pairs = [(tmp, os.path.realpath(path)) for tmp, path in pairs]
    paths = [path for _, path in pairs]
    recover(paths)
    aside, placed = [], []
    try:
        for path in reversed(paths):
            if os.path.lexists(path) and len(paths) > 1:
                os.rename(path, path + _ASIDE)
                aside.append(path)
            elif os.path.lexists(path):
                # A single file is replaced in one step: it never is away. Not every file system has links.
                with suppress(OSError):
                    os.link(path, path + _ASIDE)
                    aside.append(path)
        for tmp, path in pairs:
            os.replace(tmp, path)
            placed.append(path)
        for folder in dict.fromkeys(os.path.dirname(path) for path in paths):
            sync_folder(folder)
    except BaseException:
        with suppress(OSError):
            for path in reversed([path for path in placed if path not in aside]):
                os.unlink(path)
            for path in reversed(aside):
                os.replace(path + _ASIDE, path)
        if len(paths) == 1:
            with suppress(OSError):  # between two links to one file, a rename does nothing
                os.unlink(paths[0] + _ASIDE)
        raise
    for path in aside:
        with suppress(OSError):
            os.unlink(path + _ASIDE)


def recover(paths: list[str]):
    """Bring back what a killed `publish` of `paths` had moved aside, or drop it where that had already committed."""
    committed = os.path.lexists(paths[-1])
    for path in paths:
        old = path + _ASIDE
        if os.path.lexists(old):
            if committed:
                os.unlink(old)
            else:
                os.replace(old, path)


def remove(path):
    """Take a file away, with what a kill in the midst of replacing it may have left beside it."""
    path = os.path.realpath(path)
    for name in (path + _ASIDE, path + ".tmp", path):
        with suppress(FileNotFoundError):
            os.unlink(name)


@contextmanager
def only_process_in(folder):
    """Hold a folder, which must be there, against other processes of this machine; a kill lets go of it.

    Raises SertkError where another one holds it. Between machines, and where a file system has no locks, two writers are
    the user's to avoid.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SertkError(f"{folder}: another process is writing in it") from None
        except OSError:
            pass
        if not os.path.samestat(os.fstat(fd), os.stat(folder)):  # it was moved between the two calls
            raise SertkError(f"{folder}: another process is writing in it")
        yield
    finally:
        os.close(fd)


def sync_folder(folder):
    """fsync a folder, so that the renames in it outlive a power cut; file systems that cannot are let be."""
    fd = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def ensure_folder(path) -> Path:
    """Make the folder of `path` where it is not there yet."""
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SertkError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder
