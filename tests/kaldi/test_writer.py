"""Writing: nothing bad is written, nothing is half-published, whatever fails."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from sertk.errors import SertkError
from sertk.kaldi.tables import read_table, table_writer, verify_table
from sertk.kaldi.writer import published_together

ONE = np.ones((2, 3), np.float32)


def write_one(target="ark,scp:x.ark,x.scp", value=ONE, key="k", **options):
    with table_writer(target, **options) as write:
        write(key, value)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def test_archive_script_and_manifest_are_published_together(here):
    write_one()
    assert set(files(here)) == {"x.ark", "x.scp", "x.manifest"}
    verify_table("scp:x.scp")


BAD_MATRICES = [
    np.ones((2, 3), np.int32), np.ones((2, 3), np.float16), np.ones((2, 3), np.complex64), np.ones((2, 3), bool),
    np.array([[None]], object), np.array([["a"]]), np.ones(3, np.float32), np.ones((1, 2, 3), np.float32),
    np.ones((0, 3), np.float32), np.ones((3, 0), np.float32), np.float32(1), [[1.0]], None,
    np.array([[np.nan]], np.float32), np.array([[np.inf]], np.float32), np.array([[1e300]]),
]  # fmt: skip


@pytest.mark.parametrize("compress", ["none", "cm2"])
@pytest.mark.parametrize("value", BAD_MATRICES, ids=lambda value: repr(value)[:20])
def test_invalid_matrix_is_refused_and_nothing_is_written(here, value, compress):
    with pytest.raises(SertkError, match=r"x\.ark: key bad: "), table_writer("ark:x.ark", compress=compress) as write:
        write("good", ONE)
        try:
            write("bad", value)
        finally:
            place = Path("x.ark.tmp").read_bytes()
            assert place in (b"", b"good ")
    assert not files(here)


def test_a_key_that_comes_twice_is_refused(here):
    with pytest.raises(SertkError, match="key k: this key comes twice"), table_writer("ark:x.ark") as write:
        write("k", ONE)
        write("k", ONE)


def test_an_empty_table_is_an_error_and_leaves_what_was_there(here):
    write_one()
    before = files(here)
    with pytest.raises(SertkError, match="nothing was written"), table_writer("ark,scp:x.ark,x.scp"):
        pass
    assert files(here) == before


def test_an_error_of_the_caller_leaves_what_was_there(here):
    write_one()
    before = files(here)
    with pytest.raises(ZeroDivisionError), table_writer("ark,scp:x.ark,x.scp") as write:
        write("other", ONE)
        raise ZeroDivisionError
    assert files(here) == before


@pytest.mark.parametrize(
    "target, message",
    [("ark:gone/x.ark", "^gone/x.ark: cannot be written: there is no folder gone$"), ("ark,scp:x,x", "are the same file"),
     ("ark,scp:-,x.scp", "the archive must be one"), ("ark,scp:| cat,x.scp", "the archive must be one"),
     ("scp:gone.scp", "gone.scp: cannot be read"), ("ark:x.ark:15", "names an offset"), ("ark:cat |", "input pipe"),
     ("ark:.", "Is a directory")],
)  # fmt: skip
def test_a_target_that_cannot_be_written_is_named(here, target, message):
    with pytest.raises(SertkError, match=message):
        write_one(target)
    assert not files(here)


def test_a_stale_temporary_file_does_no_harm(here):
    Path("x.ark.tmp").write_bytes(b"rubbish" * 100)
    Path("x.scp.tmp").write_bytes(b"rubbish")
    write_one()
    assert set(files(here)) == {"x.ark", "x.scp", "x.manifest"}
    verify_table("scp:x.scp")


def test_a_link_to_another_disk_stays_a_link(here):
    (here / "disk").mkdir()
    Path("x.ark").symlink_to("disk/x.ark")
    write_one()
    assert Path("x.ark").is_symlink() and (here / "disk/x.ark").exists()
    verify_table("scp:x.scp")
    assert len(list(read_table("scp:x.scp"))) == 1


def test_a_table_may_be_read_and_written_at_once(here):
    write_one()
    with table_writer("ark,scp:x.ark,x.scp") as write:
        for key, value in read_table("scp:x.scp"):
            write(key, value + 1)
    assert dict(read_table("scp:x.scp"))["k"][0, 0] == 2


def test_a_script_alone_says_where_each_entry_goes(here):
    Path("x.scp").write_text("a a.mat\nb | cat > b.mat\n")
    with table_writer("scp:x.scp") as write:
        write("a", ONE)
        write("b", ONE * 2)
    Path("y.scp").write_text("a a.mat\nb b.mat\n")
    assert [value[0, 0] for _, value in read_table("scp:y.scp")] == [1, 2]
    with pytest.raises(SertkError, match="key c: the script does not name it"), table_writer("scp:x.scp") as write:
        write("c", ONE)
    with table_writer("scp,p:x.scp") as write:
        write("a", ONE)
        write("c", ONE)


def test_an_output_pipe_takes_the_table_and_its_failure_is_ours(here):
    write_one("ark:| cat > x.ark")
    assert len(list(read_table("ark:x.ark"))) == 1
    with pytest.raises(SertkError, match="exited with 5"):
        write_one("ark:| cat > x.ark; exit 5")


@pytest.mark.parametrize("target", ["ark:x.ark", "ark:| cat > x.ark"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_an_array_may_change_once_it_is_written(here, target, size):
    value = np.zeros((2, size), np.float32)
    with table_writer(target) as write:
        for i in range(5):
            value[:] = i
            write(f"k{i}", value)
    assert [{*found.ravel().tolist()} for _, found in read_table("ark:x.ark")] == [{i} for i in range(5)]


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(here, monkeypatch):
    write_one("ark:y.ark", np.arange(60_000, dtype=np.float32).reshape(2, -1))
    real = os.write
    monkeypatch.setattr(os, "writev", lambda fd, pieces: real(fd, b"".join(map(bytes, pieces[:2]))[:7777]))
    write_one("ark:x.ark", np.arange(60_000, dtype=np.float32).reshape(2, -1))
    assert Path("x.ark").read_bytes() == Path("y.ark").read_bytes()


def test_flushing_hands_over_every_entry(here):
    os.mkfifo("fifo")
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    with table_writer("ark,f:fifo") as write:
        write("k", ONE)
        assert os.read(reader, 100).startswith(b"k \0BFM ")
    os.close(reader)


FAILING = ["writev", "fsync", "replace", "rename", "open", "close"]


@pytest.mark.parametrize("target", ["ark,scp:x.ark,x.scp", "ark:x.ark"])
@pytest.mark.parametrize("call", FAILING)
def test_any_failing_system_call_leaves_the_old_output(here, monkeypatch, call, target):
    write_one(target)
    before = files(here)
    real = getattr(os, call)
    failures = 0
    for turn in range(100):
        count = -1

        def fail(*args, turn=turn, **keywords):
            nonlocal count
            count += 1
            if count == turn:
                if call == "close":
                    real(*args)
                raise OSError(errno.ENOSPC, "No space left on device", *[a for a in args[:1] if isinstance(a, str)])
            return real(*args, **keywords)

        monkeypatch.setattr(os, call, fail)
        try:
            write_one(target, ONE * 2, key="new")
        except SertkError as error:
            monkeypatch.setattr(os, call, real)
            failures += 1
            assert "No space left" in str(error) and "\n" not in str(error)
            assert files(here) == before
        else:
            break
        finally:
            monkeypatch.setattr(os, call, real)
    assert failures >= (1 if call != "rename" else 2) and count < turn
    assert [key for key, _ in read_table("ark:x.ark")] == ["new"]


def test_a_disk_that_is_full_leaves_the_old_output(here, shell):
    write_one()
    before = files(here)
    code = "\n".join([
        "import numpy as np, sys", "from sertk.kaldi.tables import table_writer", "from sertk.errors import SertkError",
        "try:", "    with table_writer('ark,scp:x.ark,x.scp') as write:",
        "        for i in range(100): write(f'k{i}', np.ones((1000, 80), np.float32))",
        "except SertkError as error:", "    sys.exit(str(error))"])  # fmt: skip
    Path("w.py").write_text(code)
    result = shell(f"ulimit -f 1000; {sys.executable} w.py", code=1, PYTHONPATH=str(ROOT))
    assert "x.ark.tmp: cannot be written: File too large" in result.err
    Path("w.py").unlink()
    assert files(here) == before


def test_tables_published_together_are_never_mixed(here, monkeypatch):
    """Three folds: after every single step, which a kill may follow, there are only old tables, or only new ones."""
    names, states = [f"{n}.ark" for n in "123"], []

    def write_all(array, failing=False):
        with published_together() as together:
            for name in names:
                with table_writer(f"ark:{name}", together=together) as write:
                    write("k", array)
            if failing:
                raise KeyboardInterrupt

    def content():
        return {
            (name, int(matrix[0, 0]))
            for name in names
            if Path(name).exists()
            for _, matrix in read_table(f"ark:{name}")
        }

    write_all(ONE)
    old, before = content(), files(here)
    with pytest.raises(KeyboardInterrupt):
        write_all(ONE * 2, failing=True)
    assert files(here) == before
    for call in ("unlink", "replace", "link", "rename"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *args, real=real: (real(*args), states.append(content()))[0])
    write_all(ONE * 2)
    new = {(name, 2) for name in names}
    assert all(state <= old or state <= new for state in states) and set() in states and content() == new
    assert set(files(here)) == set(before) and len(states) > 9


CHILD = """
import sys
import numpy as np
from sertk.kaldi.tables import table_writer
for turn in range(int(sys.argv[1]), 10**9):
    with table_writer("ark,scp:x.ark,x.scp", compress=["none", "cm2"][turn % 2]) as write:
        for i in range(1 + turn % 5):
            write(f"k{i}", np.full((1 + turn % 7, 3), float(turn), np.float32))
    if turn == int(sys.argv[2]):
        break
"""


def kill_while_writing(moments, folder, shm):
    """Kill a writer that publishes without pause at so many random moments; a published script must name good records."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    draw = random.Random(moments)
    missing = 0
    for moment in range(moments):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(moment), "-1"], cwd=folder, env=environment)
        while not list(Path(folder).glob("x.*")) and child.poll() is None:
            time.sleep(0.001)
        time.sleep(0.25 + draw.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        if Path(folder, "x.scp").exists():
            values = dict(read_table(f"scp:{folder}/y.scp" if resolve(folder) else ""))
            assert len({value[0, 0] for value in values.values()}) == 1
            turn = int(next(iter(values.values()))[0, 0])
            assert len(values) == 1 + turn % 5
        else:
            missing += 1
        rerun = [
            subprocess.run([sys.executable, "-c", CHILD, "3", "3"], cwd=folder, env=environment, check=True)
            for _ in "a"
        ]
        assert rerun
        found = files(folder)
        found.pop("y.scp", None)
        assert set(found) == {"x.ark", "x.scp", "x.manifest"}
        assert [float(value[0, 0]) for value in dict(read_table(f"ark:{folder}/x.ark")).values()] == [3.0] * 4
        if moment == 0:
            first = found
        assert found == first
    return missing


def resolve(folder):
    text = Path(folder, "x.scp").read_text()
    Path(folder, "y.scp").write_text(text.replace(" x.ark", f" {folder}/x.ark"))
    return True


def test_kill_leaves_valid_records_and_rerun_gives_same_bytes(tmp_path):
    kill_while_writing(4, tmp_path, None)


@pytest.mark.slow
def test_sixty_kills_leave_valid_records(tmp_path):
    kill_while_writing(60, tmp_path, None)
