"""Scripts: their lines, and where a bad one is reported."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.script import script_entries
from sertk.kaldi.tables import read_table

FM = b"\0BFM \4\2\0\0\0\4\1\0\0\0" + np.array([1, 2], "<f4").tobytes()


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "no entry could be read"),
        (b"k\n", r"x\.scp:1: expected a key and a file name: 'k'"),
        (b"\n", r"x\.scp:1: expected a key and a file name"),
        (b"k x.ark:2\n\n", r"x\.scp:2: expected a key and a file name"),
        (b"k gone.ark:2\n", r"x\.scp:1: key k: gone\.ark: cannot be read: No such file"),
        (b"k x.ark:1\n", r"x\.scp:1: key k: x\.ark at byte 1: neither binary"),
        (b"k x.ark:9999\n", r"x\.scp:1: key k: x\.ark: offset 9999 is past the end \(25 bytes\)"),
        (b"k x.ark:25\n", r"x\.scp:1: key k: x\.ark at byte 25: the file ends before the value"),
        (b"k x.ark:2\nk x.ark:2\n", r"x\.scp:2: key k: this key comes twice"),
        (b"k\xff x.ark:2\n", r"x\.scp:1: not UTF-8"),
        (b"\xef\xbb\xbfk x.ark:2\n", r"x\.scp:1: begins with a byte order mark"),
        (b"k x.ark:2]\n", r"x\.scp:1: key k: a '\]' without"),
        (b"k x.ark:2[0:9]\n", r"x\.scp:1: key k: range \[0:9\] does not lie within 2"),
        (b"k | cat\n", r"x\.scp:1: key k: .*output pipe"),
        (b"k false |\n", r"x\.scp:1: key k: "),
        (b"k .\n", r"x\.scp:1: key k: \.: cannot be read: Is a directory"),
    ],
)
def test_bad_script_is_one_line_with_file_line_and_key(here, data, message):
    (here / "x.ark").write_bytes(b"k " + FM)
    (here / "x.scp").write_bytes(data)
    with pytest.raises(SertkError, match=message) as error:
        list(read_table("scp:x.scp"))
    assert "\n" not in str(error.value)


def test_script_entries_keep_ranges_and_inner_space(here):
    (here / "wav.scp").write_text('a  sox "x  y.wav" -t wav - |\nb\tx.ark:15[0:3]\n')
    assert list(script_entries("scp:wav.scp")) == [("a", 'sox "x  y.wav" -t wav - |'), ("b", "x.ark:15[0:3]")]
