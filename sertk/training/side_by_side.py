"""Several trainings in one process, step by step in turn."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import TypeVar

import torch

from sertk.errors import SertkError
from sertk.training.progress import Stopped

Name = TypeVar("Name")


def side_by_side(
    trainings: Mapping[Name, Iterator[None]], device: torch.device, one_by_one: bool = False
) -> dict[Name, Exception]:
    """Run several trainings to their ends, a step of each in turn or one after the other.

    In turn on a GPU each has a stream of its own: kernels of different trainings may overlap, and while one of them waits for its
    figures or writes a checkpoint, the steps of the others are in the queue.

    Args:
        trainings: by name; they yield after every step (Training.steps), and begin at their first turn.
        device: where they compute.
        one_by_one: the first to its end, then the next.

    Returns:
        by name, why a training ended early: a Stopped or a SertkError. The others are run to their ends.
    """
    gpu = device.type == "cuda"
    streams = {name: torch.cuda.Stream(device) if gpu and not one_by_one else None for name in trainings}
    running, ended = dict(trainings), {}
    while running:
        for name in list(running)[: 1 if one_by_one else None]:
            with torch.cuda.stream(streams[name]) if gpu else nullcontext():
                try:
                    next(running[name])
                except StopIteration:
                    del running[name]
                except (SertkError, Stopped) as error:
                    # Without its traceback, which would keep the training's tensors allocated.
                    ended[name] = error.with_traceback(None)
                    del running[name]
    return ended
