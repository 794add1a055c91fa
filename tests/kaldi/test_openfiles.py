"""Open files: kept while there is room, closed where there is none."""

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi import openfiles
from sertk.kaldi.tables import open_table


@pytest.fixture
def archives(here):
    """A script of nine keys in an archive each, whose only number is the key's."""
    (here / "x.scp").write_text("".join(f"k{i} {i}.ark:2\n" for i in range(9)))
    for i in range(9):
        (here / f"{i}.ark").write_bytes(b"k \0BFM \4\1\0\0\0\4\1\0\0\0" + np.float32(i).tobytes())


def num_open():
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def room_for(files):
    """No more than so many files can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    # The limit is of the largest number, which may be one between those that are taken.
    top = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + files, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        for fd in held[len(held) - files :]:
            os.close(fd)
        yield
    finally:
        for fd in held[: len(held) - files]:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_archives_than_the_limit_are_read(archives, monkeypatch):
    monkeypatch.setattr(openfiles, "MOST", 3)
    before = num_open()
    with open_table("scp:x.scp") as found:
        assert [float(found[i][0, 0]) for i in range(9)] == list(range(9))
        assert num_open() == before + 3
    assert num_open() == before


def test_low_ulimit_leaves_files_for_others(archives):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        assert openfiles.OpenFiles().most == 16
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("room", [1, 3])
def test_unused_files_are_closed_to_make_room(archives, room):
    """Files that were opened before the others came, and by several threads at once."""
    before = num_open()
    with open_table("scp:x.scp") as found:
        assert found.num_frames.sum() == 9
        found.close()
        with room_for(room), ThreadPoolExecutor(3) as pool:
            values = list(pool.map(lambda i: float(found[i % 9][0, 0]), range(200)))
        assert values == [i % 9 for i in range(200)]
        assert num_open() <= before + room
    assert num_open() == before


def test_error_without_room_names_ulimit(archives, monkeypatch):
    monkeypatch.setattr(openfiles, "PATIENCE", 0.02)
    with (
        open_table("scp:x.scp") as found,
        room_for(0),
        pytest.raises(SertkError, match=r"key k0: 0\.ark at byte 2: Too many open files \(ulimit -n is \d+: raise it"),
    ):
        found[0]
