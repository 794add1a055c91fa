"""Errors that are reported in one line."""

import pytest
import torch

from sertk.errors import ReaderGone, SertkError, error_context, out_of_memory


def test_error_context_says_where():
    with pytest.raises(SertkError) as error, error_context("feats.scp"), error_context("utt1"):
        raise SertkError("cut short")
    assert str(error.value) == "feats.scp: utt1: cut short" and error.value.__suppress_context__


def test_error_context_leaves_other_errors_alone():
    with pytest.raises(ValueError, match=r"^bug$"), error_context("feats.scp"):
        raise ValueError("bug")


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"), False),
        (ValueError("memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error, memory):
    assert out_of_memory(error) is memory


def test_broken_pipe_is_a_sertk_error():
    assert issubclass(ReaderGone, SertkError)
