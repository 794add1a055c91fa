"""Files that stay open between readings: as many as the system leaves room for, from any thread and after a fork."""

import errno
import os
import resource
import time
from threading import Lock

from sertk.errors import SertkError

# So many stay open at most; a quarter of what a process may have where that is less: others need files too.
MOST = 256
# Seconds that a reading waits for others to give a file back where there is no room at all, and between two looks.
PATIENCE, _PAUSE = 5.0, 0.01


class OpenFile:
    """A descriptor. `known` is the caller's; `users` read from it now, and `kept` says that it stays open for the next."""

    __slots__ = ("fd", "kept", "known", "users")

    def __init__(self, fd: int):
        self.fd, self.known, self.users, self.kept = fd, False, 1, False


class OpenFiles:
    """Files by number: opened when first asked for, kept while there is room, closed to make room where there is none.

    file = files.acquire(number, path)
    try: … finally: files.release(file)
    """

    def __init__(self):
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = MOST if limit == resource.RLIM_INFINITY else max(1, min(MOST, limit // 4))
        self.kept: dict[int, OpenFile] = {}
        self._locks: dict[int, Lock] = {}

    def acquire(self, number: int, path: str) -> tuple[OpenFile, bool]:
        """The file of this number, and whether it was opened just now.

        Raises:
            OSError: where it cannot be opened.
            SertkError: where there are too many open files, none of which can be closed here.
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
        """Give a file back after reading."""
        with self._lock():
            file.users -= 1
            close = not file.users and not file.kept
        if close:
            os.close(file.fd)

    def close(self) -> None:
        """Close what nobody reads now; what is being read is closed by its release."""
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
        """Close a file that is kept and not being read, and keep fewer from now on."""
        with self._lock():
            number = next((number for number, file in self.kept.items() if not file.users), None)
            if number is None:
                return False
            file = self.kept.pop(number)
            self.most = max(1, len(self.kept))
        os.close(file.fd)
        return True

    def _lock(self) -> Lock:
        """This process's lock: one that another thread held at a fork would stay locked in the child."""
        pid = os.getpid()
        return self._locks.get(pid) or self._locks.setdefault(pid, Lock())
