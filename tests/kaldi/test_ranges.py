import kaldi_native_io
import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.tables import open_table, read_table, table_writer

ROWS, COLS = 20, 7


@pytest.fixture
def ranged(here):
    """A function: the value that a range of a 20 × 7 matrix gives, read through a script."""
    with table_writer("ark:x.ark") as write:
        write("k", np.arange(ROWS * COLS, dtype=np.float32).reshape(ROWS, COLS))

    def read(text):
        (here / "x.scp").write_text(f"k x.ark:2[{text}]\n")
        return dict(read_table("scp:x.scp"))["k"]

    return read


GOOD = [":", "0:19", "3:3", "0:0", "0:20", "0:22", "19:21", ":,:", "2:5,:", ":,0:6", "2:5,1:3", "0:22,6:6"]
BAD = ["5:2", "-5:-1", "0:23", "0:99", "20:21", "0:19,0:7", ":,3:2", "", ",", "1", "1:2:3", "a:b", "0:1,", "1:2,1:2,1:2",
       " 1:2", "1:2 ", "0x1:2", "1_0:12", "99999999999:99999999999"]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_good_range_gives_what_kaldi_gives(ranged, text):
    ours = ranged(text)
    with kaldi_native_io.SequentialFloatMatrixReader("scp:x.scp") as reader:
        kaldis = [np.array(value) for _, value in reader]
    assert np.array_equal(ours, kaldis[0])
    assert np.array_equal(ours, open_table("scp:x.scp")["k"])


def test_both_ends_of_a_range_are_included(ranged):
    assert ranged("2:3,1:2").tolist() == [[15, 16], [22, 23]]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_range_is_an_error_that_names_the_key(ranged, text):
    with pytest.raises(SertkError, match=r"x\.scp:1: key k: .*range"):
        ranged(text)
    with pytest.raises(SertkError, match=r"key k: .*range"), open_table("scp:x.scp") as table:
        table["k"]


@pytest.mark.parametrize("text, length", [("0:4", 5), ("0:11", 10), (":", 10)])
def test_a_vector_takes_a_range_of_its_own(here, text, length):
    with table_writer("ark:v.ark", kind="vector") as write:
        write("k", np.arange(10, dtype=np.float32))
    (here / "v.scp").write_text(f"k v.ark:2[{text}]\n")
    assert dict(read_table("scp:v.scp", "vector"))["k"].tolist() == list(range(length))
    (here / "v.scp").write_text(f"k v.ark:2[{text},{text}]\n")
    with pytest.raises(SertkError, match="bad range"):
        list(read_table("scp:v.scp", "vector"))
