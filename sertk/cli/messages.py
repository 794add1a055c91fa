"""Logging and error messages on stderr, and the ends of a binary that they belong to."""

import logging
import os
import signal
import sys
import traceback
from types import TracebackType
from typing import Self

import click

from sertk.errors import ReaderGone, SertkError

log = logging.getLogger("sertk")


class _Stderr(logging.StreamHandler):
    """Write to the current sys.stderr, which tests replace, without breaking tqdm's bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        tqdm = sys.modules.get("tqdm")
        line = self.format(record)
        if tqdm and sys.stderr.isatty():
            tqdm.tqdm.write(line, file=sys.stderr)
        else:
            to_stderr(line)


def to_stderr(text: str) -> None:
    """Print a line; if the log cannot be written (its disk is full), the work is done without one, as by Kaldi's tools."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise ReaderGone("standard error") from None
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        os.close(null)


def failed(name: str, reason: str, code: int = 1) -> int:
    """Print the error in one line; returns the exit status."""
    to_stderr(f"{name}: ERROR: {one_line(reason)}")
    return code


class own_broken_pipes:
    """Turn a broken pipe into a SertkError, that of click.echo into ReaderGone; click would exit with 1 silently."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, BrokenPipeError):
            raise ReaderGone("standard output") if came_of_echo(error) else SertkError(reason(error)) from None


def end_by_sigpipe() -> None:
    """End by SIGPIPE and without a message, as Unix tools do; Python ignores the signal by default."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})
    os.kill(os.getpid(), signal.SIGPIPE)


def log_to_stderr(name: str, verbose: int) -> None:
    """Send the log of this process to stderr: from warnings (0) to debug messages (2 and above)."""
    handler = _Stderr()
    handler.setFormatter(_Formatter(name))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}[min(max(verbose, 0), 2)])


class _Formatter(logging.Formatter):
    """`make-fbank: WARNING: …` for warnings and above, `make-fbank: …` below."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        level = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        return f"{self.name}: {level}{record.getMessage()}"


def reason(error: SertkError | OSError) -> str:
    """The message of an error, with the file before the reason if it is known."""
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if came_of_echo(error) else None)
        return f"{where}: {error.strerror}" if where else error.strerror
    return str(error)


def wrong_environment(error: ImportError) -> str:
    """The message of an import error, with a remedy for the environment that sertk runs in."""
    foreign = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    remedy = f"its packages come before sertk's: unset PYTHONPATH (now {foreign})" if foreign else "pip install ."
    return f"a required package cannot be imported ({one_line(str(error))[:150]}): {remedy}"


def came_of_echo(error: OSError) -> bool:
    """Whether standard output failed: everything is printed there by click.echo, which flushes."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def one_line(message: str) -> str:
    """A message without line ends."""
    return " ".join(message.split())
