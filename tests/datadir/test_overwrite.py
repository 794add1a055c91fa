"""Data folders written over existing ones: nothing is lost."""

from pathlib import Path

import pytest
from datafolder import UTTERANCES, content, edit, make

from sertk.datadir.combine import combine
from sertk.datadir.fix import fix
from sertk.datadir.split import split
from sertk.datadir.subset import subset
from sertk.errors import SertkError


def test_a_folder_is_not_written_over_while_it_is_read(here):
    folder = make("data")
    with pytest.raises(SertkError, match="cannot be read and written at once"):
        subset(folder, "data/../data", "first", 1)
    with pytest.raises(SertkError, match="cannot be read and written at once"):
        combine([folder], folder)


def test_a_failing_write_leaves_the_old_folder(here, monkeypatch):
    folder = make("data")
    split(folder, 2)
    before = content(folder / "split2/1")
    edit(folder / "utt2label", lambda lines: [line.replace("neu", "ang") for line in lines])
    for turn in range(60):
        count = -1

        def fail(fd, turn=turn):
            nonlocal count
            count += 1
            if count == turn:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", fail)
        try:
            split(folder, 2)
        except SertkError as error:
            assert "No space left" in str(error) and content(folder / "split2/1") == before
            assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["split2"]
        else:
            break
    assert 20 < turn < 59 and "ang" in (folder / "split2/1/utt2label").read_text()


def test_stamps_go_along(here):
    """Into subsets and parts; what is put together of stamped and unstamped is stamped."""
    make("a", UTTERANCES[:6], SIMULATED="simulated speech\n", PARTIAL="3 of 9\n", frame_shift="0.01\n")
    make("b", UTTERANCES[6:], PARTIAL="3 of 9\n2 of 4\n")
    subset("a", "small", "first", 2)
    split("a", 2)
    combine(["b", "a"], "all")
    edit(Path("a/text"), lambda lines: lines[1:])
    fix("a")
    for folder in ("a", "small", "a/split2/1", "a/split2/2"):
        found = content(folder)
        assert (found["SIMULATED"], found["PARTIAL"], found["frame_shift"]) == (
            "simulated speech\n",
            "3 of 9\n",
            "0.01\n",
        )
    assert (content("all")["SIMULATED"], content("all")["PARTIAL"]) == ("simulated speech\n", "3 of 9\n2 of 4\n")
