import os

import pytest

from sertk.errors import SertkError
from sertk.runtime import choose_device, set_threads


def test_threads_are_those_asked_for_then_those_of_the_batch_system_then_all(monkeypatch):
    assert set_threads(2) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set_threads(None) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert set_threads(None) == len(os.sched_getaffinity(0))
    set_threads(1)


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_an_error(name):
    with pytest.raises(SertkError, match=name):
        choose_device(name)
