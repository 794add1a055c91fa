"""Prefetching, and writing behind: order, depth, errors of threads."""

import threading
import time

import pytest

from sertk.data.loader import behind, prefetch


@pytest.mark.parametrize("threads", [1, 4])
def test_prefetched_results_come_in_the_order_of_their_items(threads):
    def slow_at_first(number):
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number, threading.current_thread()

    made = list(prefetch(slow_at_first, range(20), threads=threads))
    assert [number for number, _ in made] == list(range(20))
    assert (len({thread for _, thread in made}) > 1) == (threads > 1)


def test_no_more_is_prefetched_than_asked_for():
    taken = []
    ahead = prefetch(taken.append, iter(int, 1), depth=3, threads=2)
    next(ahead)
    ahead.close()
    assert len(taken) <= 4


def test_an_error_while_prefetching_is_raised_in_its_place():
    def halves(number):
        if number == 3:
            raise KeyError("broken")
        return number / 2

    made = prefetch(halves, range(9), threads=2)
    assert [next(made) for _ in range(3)] == [0, 0.5, 1]
    with pytest.raises(KeyError, match="broken"):
        next(made)


def test_prefetching_ends_when_its_user_does():
    before = threading.active_count()
    endless = prefetch(abs, iter(int, 1), depth=2, threads=2)
    assert next(endless) == 0 and threading.active_count() > before
    endless.close()
    assert threading.active_count() == before


def test_calls_behind_are_made_in_order_by_another_thread():
    made, together = [], threading.Event()

    def do(number):
        assert number or together.wait(10)  # the first waits until the caller has gone on
        made.append((number, threading.current_thread()))

    with behind(do, depth=3) as later:
        for number in range(3):
            later(number)
        together.set()
        for number in range(3, 20):
            later(number)
    assert [number for number, _ in made] == list(range(20))
    assert {thread for _, thread in made}.isdisjoint({threading.current_thread()})


def test_no_more_calls_wait_behind_than_asked_for():
    made = []
    with behind(made.append, depth=2) as later:
        for number in range(9):
            later(number)
            assert number - len(made) <= 2


@pytest.mark.parametrize("last", [3, 20])
def test_an_error_behind_ends_the_calls_and_is_raised(last):
    made = []

    def do(number):
        if number == 3:
            raise KeyError("full")
        made.append(number)

    with pytest.raises(KeyError, match="full"), behind(do, depth=4) as later:
        for number in range(last + 1):
            later(number)
    assert made == [0, 1, 2]


def test_an_error_before_the_end_leaves_nothing_uncalled():
    made = []
    with pytest.raises(ValueError, match="stopped"), behind(made.append, depth=9) as later:
        for number in range(5):
            later(number)
        raise ValueError("stopped")
    assert made == [0, 1, 2, 3, 4]
