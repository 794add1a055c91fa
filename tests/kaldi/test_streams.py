import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support import ROOT

from sertk.errors import SertkError
from sertk.kaldi.streams import open_input, open_output
from sertk.kaldi.tables import read_table, table_writer


@pytest.mark.parametrize("command", ["false", "exit 3", "cat x; exit 3", "kill -9 $$", "no-such-program-at-all"])
def test_a_pipe_that_fails_is_an_error_that_names_it(here, command):
    (here / "x").write_bytes(b"data")
    with (
        pytest.raises(SertkError, match=r"the command (exited with|was killed by)"),
        open_input(f"{command} |") as stream,
    ):
        stream.read()


def test_a_pipe_that_dies_of_our_stopping_early_has_not_failed(here):
    with open_input("yes |") as stream:
        assert stream.read(4) == b"y\ny\n"


def test_an_error_while_a_pipe_is_read_ends_its_command(here):
    start = time.monotonic()
    with pytest.raises(ZeroDivisionError), open_input("exec sleep 60 |"):
        raise ZeroDivisionError
    assert time.monotonic() - start < 50


def test_an_output_pipe_that_fails_is_an_error(here):
    output = open_output("| cat > x; exit 2")
    output.write(b"data")
    with pytest.raises(SertkError, match="exited with 2"):
        output.finish()


@pytest.mark.parametrize("command", ["true", "head -c 1 > x"])
def test_output_pipe_that_ends_early_is_an_error(here, command):
    output = open_output(f"| {command}")
    with pytest.raises(SertkError, match="ended before it had read everything"):
        for _ in range(100):
            output.write(bytes(1 << 20))
            time.sleep(0.01)


def test_pipes_can_be_forbidden(here, monkeypatch):
    monkeypatch.setenv("SERTK_NO_PIPES", "1")
    for name in ("touch pwned |",):
        with pytest.raises(SertkError, match="SERTK_NO_PIPES"):
            open_input(name)
    with pytest.raises(SertkError, match="SERTK_NO_PIPES"):
        open_output("| touch pwned")
    (here / "x.scp").write_text("k touch pwned |\n")
    with pytest.raises(SertkError, match=r"x\.scp:1: key k: .*SERTK_NO_PIPES"):
        list(read_table("scp:x.scp"))
    assert not (here / "pwned").exists()


@pytest.mark.parametrize(
    "name, message",
    [("gone", "gone: cannot be read: No such file or directory in the current folder$"),
     ("/gone", "/gone: cannot be read: No such file or directory$"), ("x:99", "offset 99 is past the end"),
     (".", "Is a directory"),
     ("x:99999999999999999999", "the offset is beyond the end"), ("|", "output pipe"), (" |", "without a command")],
)  # fmt: skip
def test_a_bad_input_is_named(here, name, message):
    (here / "x").write_bytes(b"data")
    with pytest.raises(SertkError, match=message):
        open_input(name)


WRITES = """
import signal, sys
import numpy as np
from sertk.kaldi.tables import table_writer
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
with table_writer("ark:-") as write:
    for i in range(30):
        write(f"k{i:02}", np.full((1000, 80), i, np.float32))
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_signals_and_an_unbuffered_stdout_lose_nothing(unbuffered):
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", WRITES], stdout=subprocess.PIPE, env=environment) as child:
        got = b""
        while piece := child.stdout.read1(1 << 16):
            got += piece
            time.sleep(0.0005)
    assert child.returncode == 0
    assert len(got) == 30 * (4 + 15 + 1000 * 80 * 4)


def test_a_reader_that_goes_away_is_an_error_of_the_writer():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", WRITES], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    child.stdout.read(10)
    child.stdout.close()
    error = child.stderr.read()
    child.stderr.close()
    assert child.wait() not in (0, -signal.SIGPIPE)
    assert b"ReaderGone: standard output" in error


def test_a_full_device_is_an_error(here):
    with (
        pytest.raises(SertkError, match="/dev/full: cannot be written: No space left"),
        table_writer("ark:/dev/full") as write,
    ):
        for i in range(10):
            write(f"k{i}", np.ones((1000, 80), np.float32))
