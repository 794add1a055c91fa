"""Stands in for CUDA graphs where there is no GPU."""

import pytest

# torch is imported where it is needed: conftest.py sets up the environment first.


class ByCalling:
    """Records a function by calling it, and replays it by calling it again.

    As with a GPU, the results of a recording are not computed before the first replay, and every replay leaves them in the
    same tensors.
    """

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, compute):
        self.recorded += 1
        results = compute()
        at_first = [tensor.clone() for tensor in results]
        for tensor in results:
            tensor.fill_(float("nan"))

        def replay():
            self.replayed += 1
            computed = list(at_first) or compute()
            at_first.clear()
            for tensor, value in zip(results, computed, strict=True):
                tensor.copy_(value)

        return results, replay


@pytest.fixture
def by_calling(monkeypatch):
    """List of the recorders that are made, one for each training step; with them CUDA graphs work on a CPU."""
    from sertk.training import graphs

    made = []
    monkeypatch.setitem(graphs.RECORDERS, "cpu", lambda device: made.append(ByCalling()) or made[-1])
    return made
