"""Which segment a name in a table is."""

import pytest

from sertk.errors import SertkError
from sertk.scoring.segmentnames import Names, read_names

KEYS = ("a-1", "b-2")


def test_files_are_found_by_as_much_of_the_path_as_is_needed():
    names = Names(["a", "b"], {"a": "/c/x/1.wav", "b": "/c/y/1.wav"})
    assert names.find("z/y/1.ogg") == "b" and names.find("a") == "a" and names.find("2.wav") is None
    with pytest.raises(SertkError, match=r"1.wav: may be a or b"):
        names.find("1.wav")


def test_segments_of_one_file_are_told_apart_by_their_starts(tmp_path):
    (tmp_path / "wav.scp").write_text("r /x y/r.wav\n")
    (tmp_path / "segments").write_text("a-1 r 0 1.5\nb-2 r 1.5 3\n")
    names = read_names(KEYS, tmp_path)
    assert names.find("r.wav", 1.5) == "b-2" and names.find("r.wav", 0.0) == "a-1"
