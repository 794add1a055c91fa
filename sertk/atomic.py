"""Atomic writes: a temporary file in the same folder, fsync, rename, fsync of the folder.

Example:
    with atomic_file("RESULTS", "w") as file:
        file.write("…")
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sertk.errors import SertkError

# An old file has this suffix while the new one takes its place. Not `.old`, which users use.
_ASIDE = ".sertk-old"


def temporary(path: Path | str) -> str:
    """Name of the temporary file for `path`, in the folder of the file that a link points at.

    Raises:
        SertkError: there is no such folder, or the path is one.
    """
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise SertkError(f"{path}: cannot be written: {os.strerror(errno.EISDIR)}")
    if not os.path.isdir(os.path.dirname(target)):
        folder = os.path.dirname(target if os.path.islink(path) else path)
        raise SertkError(f"{path}: cannot be written: there is no folder {folder}")
    return target + ".tmp"


@contextmanager
def atomic_file(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing; its content is replaced when the block ends, and unchanged if the block raises.

    Args:
        path: a pipe, a device or an open file (/dev/null, /dev/stdout, /dev/fd/3) is written to directly.
        mode: "w" (UTF-8 text) or "wb".

    Raises:
        SertkError: the file cannot be written.
    """
    encoding = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    if _is_stream(path):
        try:
            # Append: "w" would truncate a file that a shell has redirected to.
            with open(path, mode.replace("w", "a"), **encoding) as file:
                yield file
        except OSError as error:
            raise SertkError(f"{path}: cannot be written: {error.strerror or error}") from error
        return
    tmp = temporary(path)
    try:
        with open(tmp, mode, **encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish([(tmp, path)])
    except OSError as error:
        raise SertkError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(tmp)


def _is_stream(path: Path | str) -> bool:
    descriptor = re.fullmatch(r"/dev/std(out|err)|/dev/fd/\d+|/proc/\w+/fd/\d+", os.path.abspath(path))
    return bool(descriptor) or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def publish(pairs: list[tuple[str, str]]) -> None:
    """Rename finished temporary files to their places, all or none.

    Files that belong together must never be mixed (an old script with a new archive): with more than one, the old files
    are moved aside first, the last of the list before the others, and moved back if anything fails. After a kill,
    `recover` moves them back.

    Args:
        pairs: (temporary file, path) of each file; the last one commits.

    Raises:
        OSError: a file cannot be renamed; nothing has changed.
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
                # A single file is replaced in one step and never missing. Not every file system has links.
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
            with suppress(OSError):  # a rename between two links to the same file does nothing
                os.unlink(paths[0] + _ASIDE)
        raise
    for path in aside:
        with suppress(OSError):
            os.unlink(path + _ASIDE)


def recover(paths: list[str]) -> None:
    """Move back the files that a killed `publish` of `paths` had moved aside, or delete them if it had committed."""
    committed = os.path.lexists(paths[-1])
    for path in paths:
        old = path + _ASIDE
        if os.path.lexists(old):
            if committed:
                os.unlink(old)
            else:
                os.replace(old, path)


def remove(path: Path | str) -> None:
    """Delete a file, if it exists, and what a killed `publish` may have left beside it."""
    path = os.path.realpath(path)
    for name in (path + _ASIDE, path + ".tmp", path):
        with suppress(FileNotFoundError):
            os.unlink(name)


@contextmanager
def only_process_in(folder: Path | str) -> Iterator[None]:
    """Lock an existing folder against other processes on this machine; the lock ends with the process.

    There is no protection between machines, or on file systems without locks.

    Raises:
        SertkError: another process holds the lock.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SertkError(f"{folder}: another process is writing in it") from None
        except OSError:
            pass
        if not os.path.samestat(os.fstat(fd), os.stat(folder)):  # it was renamed between the two calls
            raise SertkError(f"{folder}: another process is writing in it")
        yield
    finally:
        os.close(fd)


def sync_folder(folder: Path | str) -> None:
    """Call fsync on a folder, so that renames in it survive a power cut; ignored where the file system cannot."""
    fd = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def ensure_folder(path: Path | str) -> Path:
    """Make the folder of a file, if it does not exist.

    Raises:
        SertkError: it cannot be made.
    """
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SertkError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder
