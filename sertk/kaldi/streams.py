"""Open files, pipes, standard input and output for tables.

/bin/sh runs the command of a pipe, as in Kaldi; unlike Kaldi, a command that fails raises. SERTK_NO_PIPES=1 forbids
pipes.
"""

import io
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from sertk.errors import ReaderGone, SertkError
from sertk.kaldi.filenames import Rxfilename, classify_output, parse_rxfilename

if TYPE_CHECKING:
    from subprocess import Popen

# A small read buffer: larger values are read into their array without a copy. Writes are collected.
_READ_AHEAD, _BUFFER, _LARGE = 1 << 14, 1 << 18, 1 << 16
# Linux writes at most 1024 pieces a call (IOV_MAX).
_MOST_PIECES = 1000
_SIGPIPE = 13


class Input(io.BufferedReader):
    """A file, a pipe or standard input, open for reading; leaving its `with` block raises if a pipe's command failed.

    Args:
        raw: the open file.
        label: name for messages.
        process: the pipe's command, if it is one.

    Attributes:
        position: in bytes from the beginning.
        size: bytes in the file, None if not known (pipes, terminals).
    """

    def __init__(self, raw: io.RawIOBase, label: str, process: "Popen | None" = None) -> None:
        super().__init__(raw, _READ_AHEAD)
        self.label = label
        self.process = process
        self.position = 0  # counted here: tell() fails on a pipe
        status = os.fstat(raw.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None

    def left(self) -> int | None:
        """Bytes from the position to the end, None if not known."""
        return None if self.size is None else self.size - self.position

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or all."""
        data = super().read(size)
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes; returns their number."""
        size = super().readinto(buffer)
        self.position += size
        return size

    def readline(self, size: int = -1) -> bytes:
        """Read a line with its end."""
        line = super().readline(size)
        self.position += len(line)
        return line

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of a file."""
        self.position = super().seek(offset, whence)
        return self.position

    def tell(self) -> int:
        """The position, of pipes too."""
        return self.position

    def finish(self) -> None:
        """Close, and wait for the command of a pipe.

        Raises:
            SertkError: the command failed.
        """
        process, self.process = self.process, None
        if process is None:
            self.close()
            return
        ended = not self.read(1)
        self.close()
        check_status(process.wait(), self.label, may_break=not ended)

    def abandon(self) -> None:
        """Close after an error, whatever the status of a pipe's command."""
        process, self.process = self.process, None
        self.close()
        if process is not None:
            process.terminate()
            process.wait()

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if error_type is None:
            self.finish()
        else:
            self.abandon()


def open_input(name: str | Rxfilename) -> Input:
    """Open an rxfilename for reading.

    The end of the `with` block closes it, and raises if a pipe's command failed. A command that was killed because the
    pipe was closed early has not failed.

    Raises:
        SertkError: the name is not an rxfilename, or cannot be read.

    Example:
        with open_input("gunzip -c x.gz |") as stream:
            stream.read()
    """
    name, kind, path, offset = parse_rxfilename(name) if isinstance(name, str) else name
    try:
        if kind == "stdin":
            return Input(io.FileIO(0, "rb", closefd=False), "standard input")
        if kind == "pipe":
            process = _start(name[:-1].strip(), name, "stdout")
            return Input(process.stdout, name, process)
        stream = Input(io.FileIO(path, "rb"), path)
        if offset:
            if stream.size is not None and offset > stream.size:
                stream.close()
                raise SertkError(f"{path}: offset {offset} is past the end ({stream.size} bytes)")
            stream.seek(offset)
        return stream
    except OSError as error:
        # Names in a script are those of the folder in which it was written.
        relative = isinstance(error, FileNotFoundError) and not os.path.isabs(path)
        where = " in the current folder" if relative else ""
        raise SertkError(f"{name}: cannot be read: {error.strerror or error}{where}") from None


class Output:
    """A file descriptor with complete writes, also when signals interrupt them; `finish()` or `abandon()` ends it.

    Python's own stdout is bypassed: with PYTHONUNBUFFERED it may silently write only a part.

    Args:
        fd: the descriptor.
        label: name for messages.
        process: the pipe's command, if it is one.
        owned: close the descriptor at the end.
    """

    def __init__(self, fd: int, label: str, process: "Popen | None" = None, owned: bool = True) -> None:
        self.fd, self.label, self.process, self.owned = fd, label, process, owned
        self.pieces, self.pending = [], 0
        self.position = 0

    def write(self, data: Any) -> None:
        """Write bytes or an array's memory, which may change afterwards; buffered until `flush()` or `finish()`.

        Raises:
            SertkError: they cannot be written.
            ReaderGone: whoever read standard output has closed it.
        """
        data = memoryview(data).cast("B")
        size = len(data)
        self.position += size
        self.pending += size
        # Large data are written at once, without a copy.
        self.pieces.append(data if size >= _LARGE else bytes(data))
        if size >= _LARGE or self.pending >= _BUFFER or len(self.pieces) >= _MOST_PIECES:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered."""
        pieces, self.pieces, self.pending = self.pieces, [], 0
        try:
            while pieces:
                written = os.writev(self.fd, pieces)
                while pieces and written >= len(pieces[0]):
                    written -= len(pieces.pop(0))
                if written:
                    pieces[0] = memoryview(pieces[0])[written:]
        except OSError as error:
            self._failed(error)

    def finish(self) -> None:
        """Flush and close, and wait for the command of a pipe.

        Raises:
            SertkError: the data cannot be written, or the command failed.
        """
        self.flush()
        self._close()
        process, self.process = self.process, None
        if process is not None:
            check_status(process.wait(), self.label)

    def abandon(self) -> None:
        """Close without flushing; a pipe's command is terminated first, so that it cannot publish half a table."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
        self.pieces = []
        self._close()
        if process is not None:
            process.wait()

    def _close(self) -> None:
        if self.owned and self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def _failed(self, error: OSError) -> None:
        """Raise the reason of a failed write."""
        process, self.process = self.process, None
        if process is not None and isinstance(error, BrokenPipeError):
            self._close()
            check_status(process.wait(), self.label)
            raise SertkError(f"{self.label}: the command ended before it had read everything") from None
        if not self.owned and isinstance(error, BrokenPipeError):
            raise ReaderGone(self.label) from None
        raise SertkError(f"{self.label}: cannot be written: {error.strerror or error}") from None


def open_output(name: str) -> Output:
    """Open a wxfilename for writing; files that must be atomic are opened under a temporary name (see atomic.py).

    Raises:
        SertkError: the name is not a wxfilename, or cannot be written.
    """
    kind = classify_output(name)
    if kind == "stdout":
        sys.stdout.flush()
        return Output(1, "standard output", owned=False)
    if kind == "pipe":
        process = _start(name[1:].strip(), name, "stdin")
        fd = os.dup(process.stdin.fileno())
        process.stdin.close()
        return Output(fd, name, process)
    try:
        return Output(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666), name)
    except OSError as error:
        raise SertkError(f"{name}: cannot be written: {error.strerror or error}") from None


def check_status(status: int, label: str, may_break: bool = False) -> None:
    """Check the exit status of a pipe's command.

    Args:
        status: of Popen.wait.
        label: the pipe, for the message.
        may_break: accept SIGPIPE, since its output was closed early.

    Raises:
        SertkError: the command failed.
    """
    if status == 0 or (may_break and status in (-_SIGPIPE, 128 + _SIGPIPE)):
        return
    end = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
    raise SertkError(f"{label}: the command {end}")


def _start(command: str, name: str, end: str) -> "Popen":
    """Start a pipe's command, with `end` ("stdin" or "stdout") connected to us."""
    import subprocess  # here, since it takes 3 ms and most tables are files

    if os.environ.get("SERTK_NO_PIPES") == "1":
        raise SertkError(f"{name}: pipes are forbidden here (SERTK_NO_PIPES=1)")
    if not command:
        raise SertkError(f"'{name}' is a pipe without a command")
    # restore_signals, the default, resets SIGPIPE, which Python ignores.
    return subprocess.Popen(["/bin/sh", "-c", command], bufsize=0, **{end: subprocess.PIPE})
