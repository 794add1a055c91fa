"""Trainings in turn: the order of their steps, and what ends one of them."""

import torch

from sertk.errors import SertkError
from sertk.training.progress import Stopped
from sertk.training.side_by_side import side_by_side

CPU = torch.device("cpu")


def steps(name, number, done, error=None):
    for step in range(number):
        done.append(f"{name}{step}")
        yield
    if error:
        raise error


def test_steps_are_taken_in_turn():
    done = []
    assert side_by_side({"a": steps("a", 3, done), "b": steps("b", 1, done), "c": steps("c", 0, done)}, CPU) == {}
    assert done == ["a0", "b0", "a1", "a2"]


def test_one_by_one_runs_each_to_its_end():
    done = []
    side_by_side({"a": steps("a", 2, done), "b": steps("b", 2, done)}, CPU, one_by_one=True)
    assert done == ["a0", "a1", "b0", "b1"]


def test_an_ended_training_leaves_the_others_running():
    done, failed, stopped = [], SertkError("NaN"), Stopped("after batch 1")
    tasks = {"a": steps("a", 1, done, failed), "b": steps("b", 2, done, stopped), "c": steps("c", 3, done)}
    assert side_by_side(tasks, CPU) == {"a": failed, "b": stopped}
    assert done[-1] == "c2" and failed.__traceback__ is None
