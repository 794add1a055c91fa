"""A pool of open files for reading, shared by threads and usable after a fork."""

import errno
import os
import resource
import time
from threading import Lock

from sertk.errors import SertkError

# Limit of open files, or a quarter of the process's own limit (ulimit -n) if that is less: others need files too.
MOST = 256
# Seconds to wait for another thread to release a file when none can be opened, and seconds between two tries.
PATIENCE, _PAUSE = 5.0, 0.01


class OpenFile:
    """An open file of the pool.

    Attributes:
        fd: its descriptor.
        known: free for the caller.
        users: number of threads that read from it now.
        kept: True if it stays open without users.
    """

    __slots__ = ("fd", "kept", "known", "users")

    def __init__(self, fd: int) -> None:
        self.fd, self.known, self.users, self.kept = fd, False, 1, False


class OpenFiles:
    """Files by number: opened on first use, kept open while there is room, and closed to make room.

    Example:
        file = files.acquire(number, path)
        try: … finally: files.release(file)
    """

    def __init__(self) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = MOST if limit == resource.RLIM_INFINITY else max(1, min(MOST, limit // 4))
        self.kept: dict[int, OpenFile] = {}
        self._locks: dict[int, Lock] = {}

    def acquire(self, number: int, path: str) -> tuple[OpenFile, bool]:
        """Open a file, or reuse the open one.

        Returns:
            the file, and True if it was opened now.

        Raises:
            OSError: it cannot be opened.
            SertkError: there are too many open files, and none can be closed here.
        """
        with self._lock():
            file = self.kept.get(number)
            if file is not None:
                file.users += 1
                return file, False
        file = OpenFile(self._open(path))
        with self._lock():
            other = self.kept.get(number)
            if other is None:
                if len(self.kept) < self.most:
                    self.kept[number], file.kept = file, True
                return file, True
            other.users += 1
        os.close(file.fd)
        return other, False

    def release(self, file: OpenFile) -> None:
        """End the use of a file that `acquire` gave."""
        with self._lock():
            file.users -= 1
            close = not file.users and not file.kept
        if close:
            os.close(file.fd)

    def close(self) -> None:
        """Close all files; those in use are closed by their release."""
        with self._lock():
            kept, self.kept = self.kept, {}
            for file in kept.values():
                file.kept = False
            idle = [file.fd for file in kept.values() if not file.users]
        for fd in idle:
            os.close(fd)

    def _open(self, path: str) -> int:
        start = time.monotonic()
        while True:
            try:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                if not self._make_room():
                    if time.monotonic() - start > PATIENCE:
                        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
                        raise SertkError(f"{error.strerror} (ulimit -n is {limit}: raise it, ulimit -n 4096)") from None
                    time.sleep(_PAUSE)

    def _make_room(self) -> bool:
        """Close an unused file, and keep fewer open from now on; False if all are in use."""
        with self._lock():
            number = next((number for number, file in self.kept.items() if not file.users), None)
            if number is None:
                return False
            file = self.kept.pop(number)
            self.most = max(1, len(self.kept))
        os.close(file.fd)
        return True

    def _lock(self) -> Lock:
        """The lock of this process: a lock held by another thread during a fork would stay locked in the child."""
        pid = os.getpid()
        return self._locks.get(pid) or self._locks.setdefault(pid, Lock())
