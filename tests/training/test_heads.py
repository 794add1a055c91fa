"""Several heads side by side: an epoch's draws, and which heads are stacked."""

import numpy as np
import pytest
import torch

from sertk.data.store import store_of
from sertk.models.spec import HeadSpec
from sertk.training import heads
from sertk.training.head import HeadTraining
from sertk.training.heads import draws_of_epochs, stacks
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

CPU = torch.device("cpu")


@pytest.mark.parametrize("resident_bytes", [1 << 20, 0])
@pytest.mark.parametrize("ahead", [False, True])
def test_draws_of_an_epoch_are_its_rows_in_turn(monkeypatch, resident_bytes, ahead):
    """Row e * versions + v belongs to version v in epoch e + 1; after its last row a segment begins again."""
    monkeypatch.setitem(heads.READ_AHEAD, "cpu", ahead)
    rows = [np.arange(length, dtype=np.float32)[:, None] for length in (6, 5)]
    store = store_of(["a", "b"], [rows[0], 10 + rows[1]])
    segments, versions = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    found = [
        draws(segments, versions)[:, 0].tolist()
        for draws in draws_of_epochs(store, range(1, 4), 2, CPU, resident_bytes)
    ]
    assert found == [[0, 1, 10, 11], [2, 3, 12, 13], [4, 5, 14, 10]]


def test_the_same_rows_for_all_epochs_are_read_once():
    store = store_of(["a"], [np.ones((1, 3), np.float32)])
    assert len(set(map(id, draws_of_epochs(store, range(2, 5), 1, CPU, 1 << 20)))) == 1


def test_an_epoch_goes_on_where_the_last_one_ended():
    """With more versions than rows, too; a training that resumes at a later epoch sees the same rows."""
    store = store_of(["a"], [np.arange(2, dtype=np.float32)[:, None]])
    segments, versions = np.zeros(3, int), np.arange(3)
    for first in (1, 2):
        epochs = draws_of_epochs(store, range(first, 4), 3, CPU, 1 << 20)
        found = [draws(segments, versions)[:, 0].tolist() for draws in epochs]
        assert found == [[0, 1, 0], [1, 0, 1], [0, 1, 0]][first - 1 :]


def test_heads_of_the_same_shape_and_batch_size_are_stacked():
    targets, members = Targets(torch.arange(9) % 3), np.arange(9)
    given = {"a": (5, 4), "b": (5, 3), "c": (6, 4), "d": (5, 4)}
    trainings = {
        name: HeadTraining(HeadSpec(2, 3, dim), members, targets, HeadSettings(batch_size=size), CPU)
        for name, (dim, size) in given.items()
    }
    assert stacks(trainings) == [["a", "d"], ["b"], ["c"]]
