"""The state of a training run between two batches, from which it goes on bitwise."""

import logging
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from sertk.errors import SertkError
from sertk.models.modelfile import load_model, read_checked, write_checked

FORMAT = "sertk-state-1"
# A run may be prolonged; all else that shapes it must stay.
MAY_CHANGE = {"epochs"}
# What shapes the last bits of a run only: it goes on elsewhere, and says so.
MACHINE = frozenset({"threads", "hardware", "torch", "code"})
# Of many differences so many are named.
MOST_SHOWN = 4
log = logging.getLogger("sertk")


@dataclass
class TrainingState:
    """How far a run has come.

    Args:
        settings: everything that shapes the run, plain types.
        history: a record for every finished epoch; its length is where to go on.
        batch: batches of the next epoch that are done.
        sums: loss, correct and chunks over those batches, and the seconds they took.
        tensors: state_dicts of network and optimiser.
    """

    settings: dict
    history: list[dict] = field(default_factory=list)
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)


def save_state(path: Path, state: TrainingState) -> None:
    """Write a state, whole or not at all."""
    write_checked(path, {"format": FORMAT, **vars(state)})


def load_state(path: Path, settings: dict, machine: Set[str] = MACHINE) -> TrainingState | None:
    """The state at `path` if there is one.

    Args:
        settings: everything that shapes the run now.
        machine: names of those that change rounding only; another value is warned of.

    Raises:
        SertkError: where it is damaged, or belongs to a run with other settings, data or code.
    """
    if not path.exists():
        return None
    state = TrainingState(**read_state(path))
    names = dict.fromkeys([*settings, *state.settings])
    pairs = {name: (state.settings.get(name), settings.get(name)) for name in names if name not in MAY_CHANGE}
    changed = {name: f"{name}={_short(a)}, now it is {_short(b)}" for name, (a, b) in pairs.items() if a != b}
    refused = [said for name, said in changed.items() if name not in machine]
    if refused:
        more = f"; and {len(refused) - MOST_SHOWN} more" if len(refused) > MOST_SHOWN else ""
        raise SertkError(
            f"{path}: this run was begun with {'; '.join(refused[:MOST_SHOWN])}{more}"
            " (--restart true begins again and keeps the old run aside)"
        )
    for said in changed.values():
        log.warning("%s: this run was begun with %s: it goes on, but not to the same bytes", path, said)
    return state


def begun_settings(directory: Path) -> dict:
    """The settings of the run in `directory`, of its state or else of its finished model; none where there is neither.

    Raises:
        SertkError: where the state is damaged.
    """
    if (directory / "state.pt").exists():
        return read_state(directory / "state.pt")["settings"]
    try:
        return load_model(directory / "final.pt").card.get("settings", {})
    except (FileNotFoundError, SertkError):
        return {}  # nothing to lose


def difference(before: dict, now: dict, but: Set[str] = frozenset()) -> str:
    """The first entry in which the settings of two runs differ, for people; "" where there is none."""
    for name in dict.fromkeys([*now, *before]):
        if name not in but and before.get(name) != now.get(name):
            return f"{name}={_short(before.get(name))}, now it is {_short(now.get(name))}"
    return ""


def set_aside(directory: Path) -> Path | None:
    """Move an existing run's folder to the next free DIR.old.N; where there is none, do nothing."""
    if not directory.is_dir():
        return None
    number = 1
    while (aside := directory.with_name(f"{directory.name}.old.{number}")).exists():
        number += 1
    return directory.rename(aside)


def read_state(path: Path) -> dict:
    """The fields of the TrainingState at `path`.

    Raises:
        SertkError: where it is damaged, or of another version.
    """
    try:
        content, _ = read_checked(path)
    except SertkError as error:
        raise SertkError(f"{error} (--restart true begins again)") from None
    if content.pop("format", None) != FORMAT:
        raise SertkError(f"{path}: not a training state of this version of sertk (--restart true begins again)")
    return content


def _short(value) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}…"
