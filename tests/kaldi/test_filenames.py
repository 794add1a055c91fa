"""Extended file names mean what they mean in Kaldi."""

import pytest

from sertk.errors import SertkError
from sertk.kaldi.filenames import classify_output, parse_rxfilename


@pytest.mark.parametrize(
    "name, form",
    [("", "stdin"), ("-", "stdin"), ("cat x |", "pipe"), ("x.ark:15", "offset"), ("x", "file"), ("a:b", "file"),
     ("x:15:16", "offset"), ("dir with space/x", "file")],
)  # fmt: skip
def test_rxfilename_kinds_are_kaldis(name, form):
    assert parse_rxfilename(name).kind == form


def test_rxfilename_is_parsed():
    assert parse_rxfilename("x:15:16")[2:] == ("x:15", 16) and parse_rxfilename("x:15").stored
    assert parse_rxfilename("x:15:16").file == ("x:15", "file", "x:15", 0)
    assert parse_rxfilename("x")[2:] == ("x", 0) and parse_rxfilename("x").stored
    assert not parse_rxfilename("-").stored and not parse_rxfilename("cat x |").stored


@pytest.mark.parametrize("name", ["| cat", " x", "x ", "b,x", "t,x", "a|b", "x\ny"])
def test_names_that_kaldi_cannot_read_are_refused(name):
    with pytest.raises(SertkError):
        parse_rxfilename(name)


@pytest.mark.parametrize("name, form", [("", "stdout"), ("-", "stdout"), ("| cat", "pipe"), ("x", "file")])
def test_wxfilename_kinds_are_kaldis(name, form):
    assert classify_output(name) == form


@pytest.mark.parametrize("name", ["cat |", "x:15", " x", "t,x", "a|b"])
def test_names_that_kaldi_cannot_write_are_refused(name):
    with pytest.raises(SertkError):
        classify_output(name)
