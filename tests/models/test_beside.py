"""Gradients beside the backward pass: taken from the context, computed at once on a CPU; on a GPU see tests/gpu."""

import pytest
import torch

from sertk.models.beside import Beside, in_use

CPU = torch.device("cpu")


def test_what_is_given_is_computed():
    beside = Beside(CPU)
    assert torch.equal(beside.compute(torch.add, torch.ones(2), torch.ones(2)), torch.full((2,), 2.0))
    beside.join()


def test_it_is_in_use_within_its_context_only():
    one, other = Beside(CPU), Beside(CPU)
    assert in_use() is None
    with one.used():
        assert in_use() is one
        with other.used():
            assert in_use() is other
        assert in_use() is one
    with pytest.raises(RuntimeError), one.used():
        raise RuntimeError
    assert in_use() is None
