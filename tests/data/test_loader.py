"""Prefetching: order, depth, errors of threads."""

import threading
import time

import pytest

from sertk.data.loader import prefetch


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
