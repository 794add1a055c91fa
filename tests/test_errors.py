"""Errors for the user: where they happened, and what counts as too little memory."""

import pytest

from sertk.errors import ReaderGone, SertkError, error_context, out_of_memory


def test_error_context_names_the_place_once():
    with pytest.raises(SertkError, match=r"^feats.ark: key a: no frames$"), error_context("feats.ark: key a"):
        raise SertkError("no frames")
    with pytest.raises(ValueError, match=r"^a bug$"), error_context("feats.ark"):
        raise ValueError("a bug")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_out_of_memory_is_known_by_class_or_words(error, expected):
    assert out_of_memory(error) is expected


def test_a_gone_reader_is_an_error_of_the_users_kind():
    assert issubclass(ReaderGone, SertkError)
