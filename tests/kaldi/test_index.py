"""The index of a table: built from a script or an archive, searched by key."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi import index as index_module
from sertk.kaldi.index import SequentialOnly, build_index
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import table_writer
from sertk.kaldi.words import Words


def built(rspecifier):
    return build_index(parse_rspecifier(rspecifier), "matrix")


def test_a_script_and_its_archive_have_the_same_index(feats, here):
    with table_writer("ark,scp:x.ark,x.scp") as write:
        for key, value in feats.items():
            write(key, value)
    script, archive = built("scp:x.scp"), built("ark:x.ark")
    assert list(script.keys) == list(archive.keys) == list(feats)
    assert script.archives == archive.archives == ["x.ark"] and script.offset.tolist() == archive.offset.tolist()
    assert [script.find(key) for key in feats] == list(range(len(feats))) and script.find("nobody") is None


def test_keys_with_equal_hashes_are_told_apart(here, monkeypatch):
    monkeypatch.setattr(index_module, "hash_word", lambda word: 7)
    monkeypatch.setattr(Words, "hashes", lambda self: np.full(len(self), 7, np.uint64))
    (here / "x.scp").write_text("a x:1\nb x:2\nc x:3\n")
    found = built("scp:x.scp")
    assert [found.find(key) for key in "abcd"] == [0, 1, 2, None]


def test_a_script_of_pipes_cannot_be_indexed(here):
    (here / "x.scp").write_text("a cat x |\n")
    with pytest.raises(SequentialOnly, match=r"x\.scp:1: .*'cat x \|' cannot be read at random"):
        built("scp:x.scp")
    (here / "x.scp").write_text("")
    with pytest.raises(SertkError, match="has no entries"):
        built("scp:x.scp")
