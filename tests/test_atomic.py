import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from sertk.atomic import atomic_file, only_process_in, publish, recover
from sertk.errors import SertkError

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def files(folder):
    return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def test_a_file_appears_whole_or_not_at_all(here):
    with atomic_file("x", "w") as file:
        file.write("new\n")
        assert not Path("x").exists()
    assert files(here) == {"x": "new\n"}
    with pytest.raises(ZeroDivisionError), atomic_file("x", "w") as file:
        file.write("other")
        raise ZeroDivisionError
    assert files(here) == {"x": "new\n"}


def test_a_link_stays_a_link(here):
    (here / "disk").mkdir()
    Path("x").symlink_to("disk/x")
    with atomic_file("x") as file:
        file.write(b"data")
    assert Path("x").is_symlink() and Path("disk/x").read_bytes() == b"data" and len(os.listdir("disk")) == 1


@pytest.mark.parametrize("path", ["gone/x", "."])
def test_a_place_that_cannot_be_written_is_named(here, path):
    with pytest.raises(SertkError, match="cannot be written"), atomic_file(path, "w") as file:
        file.write("x")


@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
def test_each_call_that_fails_in_turn_leaves_the_old_file(here, monkeypatch, call):
    Path("x").write_text("old")
    real, failed = getattr(os, call), 0
    for turn in range(9):
        count = -1

        def fail(*args, turn=turn, **keywords):
            nonlocal count
            count += 1
            if count == turn:
                raise OSError(errno.EIO, "Input/output error")
            return real(*args, **keywords)

        monkeypatch.setattr(os, call, fail)
        try:
            with atomic_file("x", "w") as file:
                file.write("new")
        except SertkError as error:
            failed += 1
            assert "Input/output error" in str(error) and files(here) == {"x": "old"}
        monkeypatch.setattr(os, call, real)
        if count < turn:
            break
    # A file system without links has no way back after the last fsync, and is no error.
    assert failed == {"fsync": 2, "replace": 1, "link": 0}[call] and files(here) == {"x": "new"}


@pytest.mark.parametrize("moment", range(7))
def test_what_a_kill_leaves_between_two_renames_is_put_right(here, monkeypatch, moment):
    """Stop (as a kill does, without any handler) before each rename; then the old or the new files are there, unmixed."""

    class Killed(BaseException):
        pass

    for name in "abc":
        Path(name).write_text(f"old {name}")
        Path(f"{name}.tmp").write_text(f"new {name}")
    count = 0

    def step(real):
        def call(*args):
            nonlocal count
            if count >= moment:
                raise Killed
            count += 1
            return real(*args)

        return call

    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(os, name, step(getattr(os, name)))
    with pytest.raises(Killed):
        publish([(f"{name}.tmp", name) for name in "abc"])
    monkeypatch.undo()
    os.chdir(here)
    recover([str(here / name) for name in "abc"])
    found = {name: text for name, text in files(here).items() if not name.endswith(".tmp")}
    assert found in ({name: f"old {name}" for name in "abc"}, {name: f"new {name}" for name in "abc"})
    assert found["a"].startswith("old" if moment < 6 else "new")


def test_a_pipe_is_written_to_and_stays_one(here):
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic_file("pipe", "w") as file:
        file.write("text")
    assert os.read(reader, 99) == b"text" and Path("pipe").is_fifo() and [p.name for p in here.iterdir()] == ["pipe"]


def test_a_folder_is_held_against_others_until_the_block_ends(here):
    with only_process_in(here):
        with pytest.raises(SertkError, match="another process is writing in it"), only_process_in(here):
            pass
        child = os.fork()
        if not child:  # a copy of the lock must not let go of it
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(SertkError), only_process_in(here):
            pass
    with only_process_in(here):
        assert list(here.iterdir()) == []


def test_a_redirected_stdout_is_appended_to(here):
    Path("log").write_text("before\n")
    script = "from sertk.atomic import atomic_file\nwith atomic_file('/dev/stdout', 'w') as file: file.write('text\\n')"
    subprocess.run(
        f'"{sys.executable}" -c "{script}" >> log; echo after >> log', shell=True, check=True, env=ENVIRONMENT
    )
    assert Path("log").read_text() == "before\ntext\nafter\n" and list(files(here)) == ["log"]


def test_a_full_device_is_named(here):
    with (
        pytest.raises(SertkError, match="/dev/full: cannot be written: No space left"),
        atomic_file("/dev/full") as file,
    ):
        file.write(b"text")


def test_files_of_others_beside_it_stay(here):
    """A copy that the user calls x.old, where sertk moves old files aside for a moment."""
    for name in ("x", "y", "x.old", "y.old"):
        Path(name).write_text(name)
    with atomic_file("x", "w") as file:
        file.write("new")
    for name in "xy":
        Path(f"{name}.tmp").write_text("newer")
    publish([("x.tmp", "x"), ("y.tmp", "y")])
    assert files(here) == {"x": "newer", "y": "newer", "x.old": "x.old", "y.old": "y.old"}
