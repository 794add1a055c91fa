"""Gradients beside the backward pass: what waits for what, with stand-ins for a GPU's streams; on a GPU see tests/gpu."""

import weakref
from contextlib import contextmanager

import pytest
import torch

from sertk.models.beside import UNDER_WAY, Beside, in_use

CPU = torch.device("cpu")


class Stream:
    """A stand-in for a CUDA stream. Its events are numbers of what was recorded before."""

    device = CPU

    def __init__(self, calls):
        self.calls, self.events = calls, 0

    def wait_stream(self, other):
        self.calls.append("begin after main")

    def record_event(self):
        self.events += 1
        self.calls.append(f"record {self.events}")
        return self.events

    def wait_event(self, event):
        self.calls.append(f"main waits for {event}")


@pytest.fixture
def streams(monkeypatch):
    """Calls of the streams, and a Beside with a second one."""
    calls = []
    main, beside = Stream(calls), Beside(CPU)
    beside.stream = Stream(calls)

    @contextmanager
    def current(stream):
        assert stream is beside.stream
        calls.append("enter")
        yield
        calls.append("leave")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: main)
    monkeypatch.setattr(torch.cuda, "stream", current)
    return calls, beside


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


def test_the_main_stream_waits_for_what_was_computed_beside(streams):
    """For the gradient before the last two, and at the end for all; until then what they read is not freed."""
    calls, beside = streams
    read = []
    for number in range(1, UNDER_WAY + 2):
        beside.compute(lambda tensor: calls.append("compute") or tensor, given := torch.ones(2))
        read.append(weakref.ref(given))
        steps = ["begin after main", "enter", "compute", "leave", f"record {number}"]
        assert calls == steps + ["main waits for 1"] * (number > UNDER_WAY)
        calls.clear()
    del given
    assert [tensor() is None for tensor in read] == [True] + [False] * UNDER_WAY
    beside.join()
    assert calls == [f"main waits for {number}" for number in range(2, UNDER_WAY + 2)]
    assert not any(tensor() is not None for tensor in read)


def test_what_a_failed_pass_left_is_freed_by_the_next(streams):
    _, beside = streams
    beside.compute(torch.neg, torch.ones(2))
    with beside.used():
        assert not beside.under_way
