"""How far a training has come, and how it is asked to stop. No torch."""

from collections.abc import Callable
from dataclasses import dataclass, field

# Function that returns True once the training should checkpoint and end.
StopRequested = Callable[[], bool]


class Stopped(Exception):
    """A training was asked to stop and has checkpointed."""


@dataclass
class Progress:
    """How far a training has come.

    Args:
        history: a record for every finished epoch; its length is where to resume.
        batch: finished batches of the next epoch.
        sums: loss, correct, chunks and seconds over those batches.
        tensors: state_dicts of network and optimiser.
    """

    history: list[dict] = field(default_factory=list)
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)


def never() -> bool:
    """Return False: the default StopRequested, which never stops a run."""
    return False
