"""Kaldi's extended file names: files, `-`, `file:offset`, pipes.

Source: Kaldi, src/util/kaldi-io.cc, ClassifyRxfilename and ClassifyWxfilename. A pipe's command is run by /bin/sh, as
Kaldi does, and its exit status is part of its output: a pipe that fails raises. SERTK_NO_PIPES=1 refuses pipes.
"""

import io
import os
import re
import stat
import sys

from sertk.errors import ReaderGone, SertkError

_OFFSET = re.compile(r"(?P<path>.*):(?P<offset>[0-9]+)", re.DOTALL)
# Read ahead little: what is larger goes into its array without a copy in between. Written in larger pieces.
_READ_AHEAD, _BUFFER, _LARGE = 1 << 14, 1 << 18, 1 << 16
# The kernel takes 1024 pieces a call.
_MOST_PIECES = 1000
_SIGPIPE = 13


def classify_input(name: str) -> str:
    """'stdin', 'pipe', 'offset' or 'file'; SertkError for what is no rxfilename."""
    if name in ("", "-"):
        return "stdin"
    if name[0] == "|":
        raise SertkError(f"'{name}' is an output pipe where input is read (an input pipe ends in '|')")
    if name[-1] == "|":
        return "pipe"
    _check_plain(name)
    return "offset" if _OFFSET.fullmatch(name) else "file"


def classify_output(name: str) -> str:
    """'stdout', 'pipe' or 'file'; SertkError for what is no wxfilename."""
    if name in ("", "-"):
        return "stdout"
    if name[0] == "|":
        return "pipe"
    if name[-1] == "|":
        raise SertkError(f"'{name}' is an input pipe where output is written (an output pipe begins with '|')")
    _check_plain(name)
    if _OFFSET.fullmatch(name):
        raise SertkError(f"'{name}' names an offset in a file: cannot write there")
    return "file"


def split_offset(name: str) -> tuple[str, int]:
    """`x.ark:15` as ("x.ark", 15), a plain file as (file, 0)."""
    match = _OFFSET.fullmatch(name)
    if not match:
        return name, 0
    offset = int(match["offset"])
    if offset > 2**63 - 1:
        raise SertkError(f"{name}: no file has such an offset")
    return match["path"], offset


class Input(io.BufferedReader):
    """A file, a pipe or standard input, open for reading; `close()` raises SertkError where a pipe has failed.

    name: what it was opened as
    size: bytes in the file, None where that is not known beforehand (pipes, terminals)
    """

    def __init__(self, raw: io.RawIOBase, label: str, process=None):
        super().__init__(raw, _READ_AHEAD)
        self.label = label
        self.process = process
        self.position = 0  # counted here, since a pipe cannot tell
        found = os.fstat(raw.fileno())
        self.size = found.st_size if stat.S_ISREG(found.st_mode) else None

    def left(self) -> int | None:
        """Bytes between here and the end, None where that is not known."""
        return None if self.size is None else self.size - self.position

    def read(self, size=-1):
        data = super().read(size)
        self.position += len(data)
        return data

    def readinto(self, buffer):
        size = super().readinto(buffer)
        self.position += size
        return size

    def readline(self, size=-1):
        line = super().readline(size)
        self.position += len(line)
        return line

    def seek(self, offset, whence=os.SEEK_SET):
        self.position = super().seek(offset, whence)
        return self.position

    def tell(self):
        return self.position

    def finish(self):
        """Close; a pipe is waited for, and SertkError says how it failed."""
        process, self.process = self.process, None
        if process is None:
            self.close()
            return
        ended = not self.read(1)
        self.close()
        check_status(process.wait(), self.label, may_break=not ended)

    def abandon(self):
        """Close without asking whether the pipe went well: what is being reported already is worse."""
        process, self.process = self.process, None
        self.close()
        if process is not None:
            process.terminate()
            process.wait()

    def __exit__(self, kind, *_):
        if kind is None:
            self.finish()
        else:
            self.abandon()


def open_input(name: str) -> Input:
    """Open an rxfilename for reading: `with open_input("gunzip -c x.gz |") as stream: stream.read()`.

    Leaving the block well closes it and raises SertkError where a pipe's command failed; one that died of our closing
    early has not failed.
    """
    form = classify_input(name)
    try:
        if form == "stdin":
            return Input(io.FileIO(0, "rb", closefd=False), "standard input")
        if form == "pipe":
            process = _start(name[:-1].strip(), name, "stdout")
            return Input(process.stdout, name, process)
        path, offset = split_offset(name) if form == "offset" else (name, 0)
        stream = Input(io.FileIO(path, "rb"), path)
        if offset:
            if stream.size is not None and offset > stream.size:
                stream.close()
                raise SertkError(f"{path}: offset {offset} is past the end ({stream.size} bytes)")
            stream.seek(offset)
        return stream
    except OSError as error:
        raise SertkError(f"{name}: cannot be read: {error.strerror or error}") from None


class Output:
    """A file descriptor that is written in full, whatever signals come; `finish()` or `abandon()` ends it.

    Python's own stdout is bypassed: with PYTHONUNBUFFERED it may write a part of what it was given and not say so.
    """

    def __init__(self, fd: int, label: str, process=None, owned: bool = True):
        self.fd, self.label, self.process, self.owned = fd, label, process, owned
        self.pieces, self.pending = [], 0
        self.position = 0

    def write(self, data):
        """Take bytes, or an array's memory, which may change afterwards; they reach the file at the latest at `finish()`."""
        data = memoryview(data).cast("B")
        size = len(data)
        self.position += size
        self.pending += size
        # What is large is handed over at once, without a copy.
        self.pieces.append(data if size >= _LARGE else bytes(data))
        if size >= _LARGE or self.pending >= _BUFFER or len(self.pieces) >= _MOST_PIECES:
            self.flush()

    def flush(self):
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

    def finish(self):
        """Write what is left and close; a pipe is waited for, and SertkError says how it failed."""
        self.flush()
        self._close()
        process, self.process = self.process, None
        if process is not None:
            check_status(process.wait(), self.label)

    def abandon(self):
        """Close without writing what is left; a pipe's command is ended first, lest it publish half a table."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
        self.pieces = []
        self._close()
        if process is not None:
            process.wait()

    def _close(self):
        if self.owned and self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def _failed(self, error: OSError):
        process, self.process = self.process, None
        if process is not None and isinstance(error, BrokenPipeError):
            self._close()
            check_status(process.wait(), self.label)
            raise SertkError(f"{self.label}: the command ended before it had read everything") from None
        if not self.owned and isinstance(error, BrokenPipeError):
            raise ReaderGone(self.label) from None
        raise SertkError(f"{self.label}: cannot be written: {error.strerror or error}") from None


def open_output(name: str) -> Output:
    """Open a wxfilename that is not a regular file to be published (see atomic.py): standard output or a pipe."""
    form = classify_output(name)
    if form == "stdout":
        sys.stdout.flush()
        return Output(1, "standard output", owned=False)
    if form == "pipe":
        process = _start(name[1:].strip(), name, "stdin")
        fd = os.dup(process.stdin.fileno())
        process.stdin.close()
        return Output(fd, name, process)
    try:
        return Output(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666), name)
    except OSError as error:
        raise SertkError(f"{name}: cannot be written: {error.strerror or error}") from None


def check_status(status: int, label: str, may_break: bool = False):
    """SertkError unless `status` (of Popen.wait) is success, or a death of our closing its output early."""
    if status == 0 or (may_break and status in (-_SIGPIPE, 128 + _SIGPIPE)):
        return
    how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
    raise SertkError(f"{label}: the command {how}")


def _start(line: str, name: str, end: str):
    """Start a pipe's command as a Popen whose `end` (stdin or stdout) is ours."""
    import subprocess  # here, since most tables are files: 3 ms of every start

    if os.environ.get("SERTK_NO_PIPES") == "1":
        raise SertkError(f"{name}: pipes are forbidden here (SERTK_NO_PIPES=1)")
    if not line:
        raise SertkError(f"'{name}' is a pipe without a command")
    # restore_signals (the default) gives the command the SIGPIPE that Python itself ignores.
    return subprocess.Popen(["/bin/sh", "-c", line], bufsize=0, **{end: subprocess.PIPE})


def _check_plain(name: str):
    if name[0].isspace() or name[-1].isspace():
        raise SertkError(f"'{name}' begins or ends in white space")
    if name[:2] in ("b,", "t,"):
        raise SertkError(f"'{name}': b and t belong before the colon (ark,t:…)")
    if "|" in name:
        raise SertkError(f"'{name}': a pipe's '|' stands at the end (input) or at the beginning (output)")
    if "\0" in name or "\n" in name:
        raise SertkError(f"{name!r} is no file name")
