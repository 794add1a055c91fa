"""Jobs on several threads: order, errors, features of utterances."""

import threading

import pytest

from sertk.errors import SertkError
from sertk.frontend.pipeline import in_order


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_results_come_in_the_jobs_order_whatever_their_time(num_threads):
    gate = threading.Event()

    def worker(job):
        if job == 0 and num_threads > 1:
            gate.wait(5)
        else:
            gate.set()
        return [job, -job]

    assert list(in_order(lambda: worker, range(20), num_threads)) == [x for job in range(20) for x in (job, -job)]


def test_each_thread_has_a_worker_and_errors_come_in_order():
    def make():
        own = threading.get_ident()

        def worker(job):
            assert threading.get_ident() == own
            if job == 7:
                raise SertkError("seven")
            return [job]

        return worker

    seen = []
    with pytest.raises(SertkError, match="seven"):
        seen.extend(in_order(make, iter(range(100)), 3))
    found = in_order(make, range(100), 3)
    assert [next(found) for _ in range(7)] == list(range(7))
