"""A script read all at once says what the reader of lines says, or leaves it to that one."""

import pytest

from sertk.errors import SertkError
from sertk.kaldi import index as index_module
from sertk.kaldi import scriptarrays
from sertk.kaldi.indexcache import open_index
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.streams import open_input


def outcome():
    """What x.scp's index says, or the error."""
    try:
        found = open_index(parse_rspecifier("scp:x.scp"), "matrix")
    except SertkError as error:
        return str(error)
    entries = zip(found.keys, found.archive.tolist(), found.offset.tolist(), found.ranges or [""] * len(found))
    return [(key, found.archives[archive], offset, part, found.find(key)) for key, archive, offset, part in entries]


def at_once():
    with open_input("x.scp") as stream:
        return scriptarrays.script_arrays(stream)


def both(here, monkeypatch, text: bytes):
    """The outcome by arrays and the one line by line, and whether the arrays were used."""
    (here / "x.scp").write_bytes(text)
    first, used = outcome(), at_once() is not None
    monkeypatch.setattr(index_module, "script_arrays", lambda _: None)
    return first, outcome(), used


def test_a_plain_script_is_read_at_once_as_by_lines(here, monkeypatch):
    monkeypatch.setattr(scriptarrays, "_BLOCK", 100)
    lines = [
        f"k{i * 7919 % 1000:0{1 + i % 9}} {'long/' * (i % 3)}{i % 5}.ark:{i * 10 ** (i % 12)}\n" for i in range(500)
    ]
    lines = list({line.split()[0]: line for line in lines}.values())
    first, second, used = both(here, monkeypatch, "".join(lines).encode())
    assert used and first == second and len(first) == len(lines)
    assert first[3] == (lines[3].split()[0], "3.ark", 3000, "", 3)


@pytest.mark.parametrize(
    "text",
    [b"a x:1", b"a x:1\nb y:002\n", "ä x:1\nb ü:2\n".encode(), b"a:b x:y:1\n", b"a -:1\n", b"a x:123456789012345678\n"],
)
def test_what_is_plain_too(here, monkeypatch, text):
    first, second, used = both(here, monkeypatch, text)
    assert used and first == second and isinstance(first, list)


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"a x:1\n\n", b"a  x:1\n", b"a\tx:1\n", b"a x:1 \n", b"a x:1\r\n", b" a x:1\n", b"a\n", b"a b x:1\n",
     b"a x:1[0:3]\n", b"a cat x |\n", b"a x\n", b"a x:\n", b"a :1\n", b"a t,x:1\n", b"a x:1a\n", b"a x:-1\n",
     b"a x:1234567890123456789\n", b"a x:99999999999999999999\n", b"a x:1\na x:2\n", b"\xff x:1\n", b"a \xff:1\n",
     b"a\xc3 x:1\n\xa4b x:2\n", b"a x\0:1\n", b"a\0b x:1\n", b"a x:1\nb\n", b"a x:1\nb c\nd\n e f:1 \n",
     b"\xef\xbb\xbfa x:1\n"],
)  # fmt: skip
def test_what_is_not_plain_means_what_the_reader_of_lines_says(here, monkeypatch, text):
    first, second, _ = both(here, monkeypatch, text)
    assert first == second


def test_a_promise_of_order_is_checked_in_a_plain_script_too(here):
    (here / "x.scp").write_text("b x:1\na x:2\n")
    with pytest.raises(SertkError, match=r"x\.scp:2: key a: comes after b"):
        open_index(parse_rspecifier("scp,s:x.scp"), "matrix")
