"""The state of a run between two batches, from which a rerun resumes bit by bit."""

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from sertk.errors import SertkError
from sertk.models.modelfile import read_checked, write_checked

FORMAT = "sertk-state-1"
# Settings that change only the last bits of a result.
ROUNDING = frozenset({"threads", "hardware", "torch", "code"})


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


def write_state(path: Path, settings: dict, progress: Progress) -> None:
    """Write a state atomically, with a checksum."""
    write_checked(path, {"format": FORMAT, "settings": settings, **vars(progress)})


def read_state(path: Path) -> tuple[dict, Progress]:
    """Settings and progress of the state at `path`.

    Raises:
        SertkError: it is damaged, or of another version.
    """
    content, _ = read_checked(path)
    if content.pop("format", None) != FORMAT:
        raise SertkError(f"{path}: not a training state of this version of sertk")
    return content.pop("settings"), Progress(**content)


def differences(before: dict, now: dict, ignored: Set[str] = frozenset()) -> list[str]:
    """The settings in which two runs differ, each as text.

    Example:
        >>> differences({"epochs": 2, "seed": 0}, {"epochs": 3, "seed": 0})
        ['epochs=2, now it is 3']
    """
    return [
        f"{name}={_short(before.get(name))}, now it is {_short(now.get(name))}"
        for name in dict.fromkeys([*now, *before])
        if name not in ignored and before.get(name) != now.get(name)
    ]


def _short(value: object) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}…"
