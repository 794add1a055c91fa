"""Names that tests import: where the checkout is, where the corpora are, what a binary gave back."""

import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPORA = Path(os.environ.get("SERTK_CORPORA", ROOT.parent / "shared" / "corpora"))
# .ci/run installs them; elsewhere the tests pass without.
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")


@dataclass
class Result:
    """How a binary ended; `err` is its standard error without the first line, the command (test_options.py has that)."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


def call_main(main, args, code: int | None, capture) -> Result:
    """Call the main function of a binary or a script in this process; `capture` is the fixture capfdbinary."""
    capture.readouterr()
    with pytest.raises(SystemExit) as exit:
        main([str(arg) for arg in args])
    out, err = capture.readouterr()
    echoed = shlex.join([main.name, *map(str, args)]) + "\n"
    result = Result(exit.value.code, out, err.decode().removeprefix(echoed))
    assert code is None or result.code == code, result.err
    return result


_COMMAND = re.compile(rf"^(?:{'|'.join(path.name for path in (ROOT / 'bin').iterdir())}) [^\n]*\n", re.MULTILINE)


def without_commands(err: str) -> str:
    """What binaries wrote on stderr, without the lines that say how they were called."""
    return _COMMAND.sub("", err)


@contextmanager
def on_one_core():
    """Keep this process, and what it starts, on one core: a toy network on several spends its time in waiting."""
    cores = os.sched_getaffinity(0)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    os.sched_setaffinity(0, {sorted(cores)[worker % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def body(log: Path) -> list[str]:
    """What a job has written in its log, without the runner's own lines."""
    return [line for line in log.read_text().split("\n") if line and not line.startswith("#")]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path from there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wait_for(happened: Callable, seconds: float = 300):
    """Wait until `happened()` is true."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds"
        time.sleep(0.002)


def let_children_take(*numbers: int):
    """Let processes that are started from now on take these signals, where this process was started to ignore them.

    A shell ignores INT in what it starts with `&`, nohup ignores HUP, and children inherit it.
    """
    for number in numbers:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # for this process as before; a function is not inherited
