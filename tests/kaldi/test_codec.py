"""Round trips of every format against Kaldi's own reader and writer (kaldi-native-io)."""

import os
import tempfile

import kaldi_native_io as kaldi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sertk.errors import SertkError
from sertk.kaldi.encode import encode
from sertk.kaldi.tables import read_table, table_writer

METHODS = {
    "cm": kaldi.CompressionMethod.kSpeechFeature,
    "cm2": kaldi.CompressionMethod.kTwoByteAuto,
    "cm3": kaldi.CompressionMethod.kOneByteAuto,
}
NUMBERS = st.floats(-1e6, 1e6, width=32).map(lambda x: x + 0.0)  # no negative zero: a minimum may be either
MATRICES = st.tuples(st.integers(1, 30), st.integers(1, 8)).flatmap(lambda s: arrays(np.float32, s, elements=NUMBERS))
VECTORS = st.integers(1, 40).flatmap(lambda n: arrays(np.float32, n, elements=NUMBERS))
INTS = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20).map(lambda x: np.array(x, np.int32))
# In memory where there is such a place: every table is fsynced.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)
# `make test-slow` runs each of these 2000 times.
FAST = settings(max_examples=60)
FULL = settings(max_examples=2000)


def check_matrix(matrix, compress, binary):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = os.path.join(folder, "x.ark")
        with table_writer(f"ark{'' if binary else ',t'}:{path}", compress=compress) as write:
            write("k", matrix)
        ours = dict(read_table(f"ark:{path}"))["k"]
        with kaldi.SequentialFloatMatrixReader(f"ark:{path}") as reader:
            kaldis = {key: np.array(value) for key, value in reader}["k"]
        assert np.array_equal(ours, kaldis)
        if compress == "none" or not binary:
            assert np.array_equal(ours, matrix)
            with kaldi.FloatMatrixWriter(f"ark{'' if binary else ',t'}:{path}") as writer:
                writer.write("k", matrix)
        else:
            with kaldi.CompressedMatrixWriter(f"ark:{path}") as writer:
                writer.write("k", matrix, METHODS[compress])
            with open(path, "rb") as file:
                assert file.read() == b"k " + b"".join(map(bytes, encode(matrix, "matrix", compress)))
        found = dict(read_table(f"ark:{path}"))["k"]
        # Kaldi's text has seven digits.
        assert np.array_equal(found, ours) if binary else np.allclose(found, matrix, rtol=1e-6)


def check_vector(vector, binary):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = os.path.join(folder, "x.ark")
        with table_writer(f"ark{'' if binary else ',t'}:{path}", kind="vector") as write:
            write("k", vector)
        with kaldi.SequentialFloatVectorReader(f"ark:{path}") as reader:
            kaldis = {key: np.array(value) for key, value in reader}["k"]
        assert np.array_equal(dict(read_table(f"ark:{path}", "vector"))["k"], vector)
        assert np.array_equal(kaldis, vector)
        with kaldi.DoubleVectorWriter(f"ark{'' if binary else ',t'}:{path}") as writer:
            writer.write("k", vector.astype(np.float64))
        assert np.allclose(dict(read_table(f"ark:{path}", "vector"))["k"], vector, rtol=1e-6)


def check_ints(ints, binary):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = os.path.join(folder, "x.ark")
        with table_writer(f"ark{'' if binary else ',t'}:{path}", kind="ints") as write:
            write("k", ints)
        with kaldi.SequentialInt32VectorReader(f"ark:{path}") as reader:
            assert {key: list(value) for key, value in reader} == {"k": ints.tolist()}
        with kaldi.Int32VectorWriter(f"ark{'' if binary else ',t'}:{path}") as writer:
            writer.write("k", ints.tolist())
        found = dict(read_table(f"ark:{path}", "ints"))["k"]
        assert found.dtype == np.int32 and found.tolist() == ints.tolist()


def check_keys(keys):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = os.path.join(folder, "x.ark")
        with table_writer(f"ark:{path}") as write:
            for key in keys:
                write(key, np.ones((1, 1), np.float32))
        assert [key for key, _ in read_table(f"ark:{path}")] == keys
        with kaldi.SequentialFloatMatrixReader(f"ark:{path}") as reader:
            assert [key for key, _ in reader] == keys


@pytest.mark.parametrize("compress", ["none", *METHODS])
def test_a_matrix_survives_and_kaldi_agrees(compress):
    FAST(given(MATRICES)(lambda matrix: check_matrix(matrix, compress, True)))()


def test_a_matrix_survives_as_text():
    FAST(given(MATRICES)(lambda matrix: check_matrix(matrix, "none", False)))()


def test_a_vector_survives_and_kaldi_agrees():
    FAST(given(VECTORS, st.booleans())(check_vector))()


def test_integers_survive_and_kaldi_agrees():
    FAST(given(INTS, st.booleans())(check_ints))()


def test_every_key_that_is_written_is_read_back():
    FAST(given(st.lists(KEYS, min_size=1, max_size=5, unique=True))(check_keys))()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["none", *METHODS, "text", "vector", "ints", "keys"])
def test_two_thousand_examples_of_every_format(form):
    if form == "vector":
        FULL(given(VECTORS, st.booleans())(check_vector))()
    elif form == "ints":
        FULL(given(INTS, st.booleans())(check_ints))()
    elif form == "keys":
        FULL(given(st.lists(KEYS, min_size=1, max_size=5, unique=True))(check_keys))()
    else:
        compress, binary = ("none", False) if form == "text" else (form, True)
        FULL(given(MATRICES)(lambda matrix: check_matrix(matrix, compress, binary)))()


def test_a_matrix_of_doubles_is_read_as_float32(here):
    matrix = np.random.default_rng(1).normal(size=(5, 3))
    with kaldi.DoubleMatrixWriter("ark:x.ark") as writer:
        writer.write("k", matrix)
    found = dict(read_table("ark:x.ark"))["k"]
    assert found.dtype == np.float32 and np.array_equal(found, matrix.astype(np.float32))


def test_a_double_that_float32_cannot_hold_is_an_error(here):
    with kaldi.DoubleMatrixWriter("ark:x.ark") as writer:
        writer.write("k", np.array([[1e300]]))
    with pytest.raises(SertkError, match="NaN or infinity"):
        list(read_table("ark:x.ark"))


def test_large_finite_numbers_are_not_taken_for_infinity(here):
    matrix = np.full((3, 3), 3e38, np.float32)
    with table_writer("ark:x.ark") as write:
        write("k", matrix)
    assert np.array_equal(dict(read_table("ark:x.ark"))["k"], matrix)


def test_an_empty_matrix_of_kaldi_is_read_as_empty(here):
    with open("x.ark", "wb") as file:
        file.write(b"a \0BFM \4\0\0\0\0\4\0\0\0\0b \0BCM " + bytes(16) + b"c  [ ]\n")
    assert [(key, value.shape) for key, value in read_table("ark:x.ark")] == [(k, (0, 0)) for k in "abc"]


@pytest.mark.parametrize(
    "text", [b"[ 1 2\n 3 4 ]\n", b" [\n1 2\n3 4\n]\n", b"[ 1 2 ; 3 4 ]\n", b"  [ 1e0 2.\n\n +3 4 ]\n"]
)
def test_every_layout_of_a_text_matrix_is_read(here, text):
    with open("x.ark", "wb") as file:
        file.write(b"k " + text + b"l [ 1 ]\n")
    assert dict(read_table("ark:x.ark"))["k"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("form", ["ark", "ark,t"])
def test_numbers_are_vectors_or_matrices_as_stored(tmp_path, form):
    for kind, value in (("vector", np.ones(3, np.float32)), ("matrix", np.ones((2, 3), np.float32))):
        with table_writer(f"{form}:{tmp_path}/x.ark", kind=kind) as write:
            write("k", value)
        ((_, found),) = read_table(f"ark:{tmp_path}/x.ark", kind="numbers")
        np.testing.assert_array_equal(found, value, strict=True)
