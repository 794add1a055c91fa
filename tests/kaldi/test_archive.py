"""Archives: where and how a bad one is reported."""

import re

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.archive import read_keys
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.streams import open_input
from sertk.kaldi.tables import read_table

FM = b"\0BFM \4\2\0\0\0\4\1\0\0\0" + np.array([1, 2], "<f4").tobytes()


def test_keys_come_with_the_stream_at_their_values(here):
    """White space before a key is skipped; a tab may follow it."""
    (here / "x.ark").write_bytes(b"a 12\n\tb\t34")
    with open_input("x.ark") as stream:
        read = [(key, where, stream.read(2)) for key, where in read_keys(stream, parse_rspecifier("ark:x.ark"))]
    assert read == [("a", "x.ark at byte 0: key a", b"12"), ("b", "x.ark at byte 4: key b", b"34")]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "no entry could be read"),
        (b"\n \n", "no entry could be read"),
        (b"k", "at byte 0: the file ends within a key"),
        (b"k ", "at byte 0: key k: the file ends before the value"),
        (b"k " + FM[:9], "at byte 0: key k: the file ends within the header"),
        (b"k " + FM[:-1], "at byte 0: key k: the header asks for 8 bytes, 7 are left"),
        (b"k " + FM + b"k " + FM, "at byte 25: key k: this key comes twice"),
        (b"k " + FM + b"\xff " + FM, "at byte 25: no key here"),
        (b"k " + FM + b"\0\0\0\0", "at byte 25: "),
        (b"k\n" + FM, "at byte 0: no key here"),
        (b"k \0BFM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7f", "the header asks for 18446744056529682436 bytes"),
        (b"k \0BFM \4\xff\xff\xff\xff\4\1\0\0\0", "the header is damaged"),
        (b"k \0BFM \x08\2\0\0\0\4\1\0\0\0" + bytes(8), "the header is damaged"),
        (b"k \0BFM \4\0\0\0\0\4\1\0\0\0", "the header is damaged"),
        (b"k \0BXM \4\2\0\0\0\4\1\0\0\0" + bytes(8), r"unknown type b'XM \\x04'"),
        (b"k \0BFV \4\2\0\0\0" + bytes(8), "is of type FV, expected a matrix"),
        (b"k \0BCM2 \0\0\xc0\x7f\0\0\x80\x3f\1\0\0\0\1\0\0\0" + bytes(2), "NaN or infinite range"),
        (b"k \0BFM \4\1\0\0\0\4\2\0\0\0" + np.array([0, np.nan], "<f4").tobytes(), r"holds NaN or infinity \(1 of 2 .* \[0, 1\]"),
        (b"k \0BFM \4\1\0\0\0\4\2\0\0\0" + np.array([-np.inf, np.inf], "<f4").tobytes(), "holds NaN or infinity"),
        (b"k hello\n", "neither binary data nor a text matrix here"),
        (b"k [ 1 2\n", "the text ends before its ']'"),
        (b"k [ 1 x ]\n", "b'x' is not a number"),
        (b"k [ 1_0 ]\n", "b'1_0' is not a number"),
        (b"k [ 1 nan ]\n", "holds NaN or infinity"),
        (b"k [ 1 2\n 3 ]\n", "rows of"),
        (b"k [ 1 ] 2\n", "text after the"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "at byte 0: "),
        (b"PK\3\4" + bytes(40), "at byte 0: "),
        (b"k " * 5000, "neither binary"),
        (b"k" * 5000, "no key here"),
    ],
)  # fmt: skip
def test_bad_archive_is_one_line_with_file_key_and_offset(here, data, message):
    (here / "x.ark").write_bytes(data)
    for source, place in (("ark:x.ark", r"x\.ark"), ("ark:cat x.ark |", r"cat x\.ark \|")):
        with pytest.raises(SertkError) as error:
            list(read_table(source))
        text = str(error.value)
        # A pipe's size is not known beforehand: it ends where it ends.
        if "asks for" in message and "cat" in source:
            assert re.search(r"key k: the data end after \d+ of", text), text
        else:
            assert re.search(message, text), text
        assert re.search(place, text) and "\n" not in text
