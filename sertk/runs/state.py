"""State files: the progress of a run, from which a rerun resumes to bitwise the same result."""

from collections.abc import Set
from pathlib import Path

from sertk.errors import SertkError
from sertk.models.modelfile import read_checked, write_checked
from sertk.training.progress import Progress

FORMAT = "sertk-state-1"
# Settings that change only the last bits of a result.
ROUNDING = frozenset({"threads", "hardware", "torch", "code"})


def write_state(path: Path, settings: dict, progress: Progress) -> None:
    """Write a state atomically, with a digest."""
    write_checked(path, {"format": FORMAT, "settings": settings, **vars(progress)})


def read_state(path: Path) -> tuple[dict, Progress]:
    """Read the settings and the progress of a state file.

    Raises:
        SertkError: it is damaged, or of another version.
    """
    content, _ = read_checked(path)
    if content.pop("format", None) != FORMAT:
        raise SertkError(f"{path}: not a training state of this version of sertk")
    return content.pop("settings"), Progress(**content)


def differences(before: dict, now: dict, ignored: Set[str] = frozenset()) -> list[str]:
    """Describe the settings in which two runs differ.

    Args:
        before: settings of the first run.
        now: settings of the second.
        ignored: names that are not compared.

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
