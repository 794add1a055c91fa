"""Keys: which are valid, and their order."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.keys import KeyOrder
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_table, table_writer

BAD_KEYS = ["", "a b", "a\n", "\t", "a\0", "a\r", "\udc80"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_invalid_key_is_refused_and_nothing_is_written(here, key):
    with pytest.raises(SertkError, match="cannot be a key"), table_writer("ark,scp:x.ark,x.scp") as write:
        write("good", np.ones((1, 1), np.float32))
        write(key, np.ones((1, 1), np.float32))
    assert not list(here.iterdir())


def test_sorted_specifier_remembers_only_the_last_key():
    order = KeyOrder(parse_rspecifier("scp,s:x.scp"))
    assert [order.accepts(key) for key in ("a", "c", "b", "c", "d")] == [True, True, False, False, True]
    assert "comes after d" in order.reason("b") and order.reason("d") == "this key comes twice" and not order.seen


def test_order_is_checked_where_it_is_promised(here):
    with table_writer("ark,scp:x.ark,x.scp") as write:
        for key in ("b", "a"):
            write(key, np.ones((1, 1), np.float32))
    for source in ("scp:x.scp", "scp,cs:x.scp", "ark:x.ark"):
        assert len(list(read_table(source))) == 2
    with pytest.raises(SertkError, match=r"x\.scp:2: key a: comes after b"):
        list(read_table("scp,s:x.scp"))
    with pytest.raises(SertkError, match=r"x\.ark at byte 21: key a: comes after b"):
        list(read_table("ark,s:x.ark"))


def test_order_is_that_of_bytes(here):
    keys = ["A", "Z", "_", "a", "é", "日", "\U0001f600"]
    with table_writer("ark:x.ark") as write:
        for key in keys:
            write(key, np.ones((1, 1), np.float32))
    assert [key for key, _ in read_table("ark,s:x.ark")] == keys == sorted(keys, key=str.encode)
