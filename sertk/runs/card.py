"""What a finished run says of itself: the model's card, what it was trained on, and its settings as a conf file."""

import logging
import platform
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from sertk import __version__
from sertk.atomic import atomic_file
from sertk.models.modelfile import Model

log = logging.getLogger("sertk")

# Above this number of segments the card lists the speakers and not the segments: no emotion corpus is as large.
MOST_KEYS = 100_000


def trained_on(
    chosen: dict[str, str], speaker_of: dict[str, str], fold: str | None, how: dict, **before: Model | None
) -> dict:
    """What a model was trained on, for the guard against leaks (sertk.scoring.protocol).

    Args:
        chosen: label of every training segment.
        speaker_of: speaker of the segments, {} where nobody says it.
        fold: what was held out.
        how: how the epoch was chosen (choosing.how_chosen).
        before: the model that it began from, as trunk=… or init=….
    """
    counts: dict[str, int] = {}
    for label in chosen.values():
        counts[label] = counts.get(label, 0) + 1
    # A speaker network's labels are people, and an emotion network's are not, whatever they are called.
    of_people = bool(speaker_of) and all(speaker_of.get(key) == label for key, label in chosen.items())
    record = {"fold": fold, "segments": len(chosen), "target": "speaker" if of_people else "label", **how}
    if len(chosen) <= MOST_KEYS:
        record["keys"] = sorted(chosen)
    if len(chosen) <= MOST_KEYS or not of_people:
        record["labels"] = dict(sorted(counts.items()))
    record |= _speakers(chosen, speaker_of)
    if "chosen_on" in how:
        record["chosen_on"] = how["chosen_on"] | _speakers(how["chosen_on"]["keys"], speaker_of)
    for name, model in before.items():
        if model:
            record[name] = model.card.get("trained_on", {})
    return record


def _speakers(keys: Iterable[str], speaker_of: dict[str, str]) -> dict[str, list[str]]:
    """`speakers` of all the segments, or nothing where one's is not known."""
    if not speaker_of:
        return {}
    if lacking := [key for key in keys if key not in speaker_of]:
        log.warning("speakers are not recorded: %d training segments are not in utt2spk (%s)", len(lacking), lacking[0])
        return {}
    return {"speakers": sorted({speaker_of[key] for key in keys})}


def card(command: str, settings: dict, trained_on: dict) -> dict:
    """What is kept in a model of how it was made."""
    versions = {"sertk": __version__, "torch": str(torch.__version__), "numpy": np.__version__,
                "python": platform.python_version()}  # fmt: skip
    return {"command": command, "settings": settings, "trained_on": trained_on, "versions": versions}


def write_conf(path: Path, settings: dict) -> None:
    """Settings as lines of --name=value, which --config reads."""
    with atomic_file(path, "w") as file:
        for name, value in settings.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            text = text.lower() if isinstance(value, bool) else text
            file.write(f"--{name.replace('_', '-')}={text}\n")
