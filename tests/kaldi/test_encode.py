"""Encoding: what is refused, and how far compressed numbers are off."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.kaldi.tables import read_table, table_writer


@pytest.mark.parametrize("compress, most", [("cm2", 1.001 / 65535 / 2), ("cm3", 1.001 / 255 / 2)])
def test_compression_error_is_at_most_half_a_step(here, compress, most):
    matrix = np.random.default_rng(1).normal(size=(300, 40)).astype(np.float32) * 5 - 8
    with table_writer("ark:x.ark", compress=compress) as write:
        write("k", matrix)
    error = np.abs(dict(read_table("ark:x.ark"))["k"] - matrix).max()
    assert error <= most * (matrix.max() - matrix.min()) * 1.01


@pytest.mark.parametrize("value", [np.ones(2, np.float32), np.array([2**31]), np.ones((1, 1), np.int32)])
def test_only_int32_vectors_are_written_as_integers(here, value):
    with pytest.raises(SertkError, match=r"key k: .*integers"), table_writer("ark:x.ark", kind="ints") as write:
        write("k", value)


def test_range_too_large_for_compression_is_refused(here):
    message = "key k: the range of the numbers is too large"
    with pytest.raises(SertkError, match=message), table_writer("ark:x.ark", compress="cm2") as write:
        write("k", np.array([[-3e38, 3e38]], np.float32))
