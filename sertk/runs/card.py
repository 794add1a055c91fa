"""What a finished run says of itself: the model's card, what it was trained on, and its settings as a conf file."""

import platform
from pathlib import Path

import numpy as np
import torch

from sertk import __version__
from sertk.atomic import atomic_file
from sertk.models.modelfile import Model

# Above this number of segments the card lists the labels and not the segments: no emotion corpus is as large.
MOST_KEYS = 100_000


def trained_on(chosen: dict[str, str], fold: str | None, how: dict, **before: Model | None) -> dict:
    """What a model was trained on, for the guard against leaks (sertk.scoring.protocol).

    Args:
        chosen: label of every training segment.
        fold: what was held out.
        how: how the epoch was chosen (choosing.how_chosen).
        before: the model that it began from, as trunk=… or init=….
    """
    counts: dict[str, int] = {}
    for label in chosen.values():
        counts[label] = counts.get(label, 0) + 1
    record = {"fold": fold, "segments": len(chosen), **how}
    if len(chosen) <= MOST_KEYS:
        record |= {"keys": sorted(chosen), "labels": dict(sorted(counts.items()))}
    else:
        record["speakers"] = sorted(counts)
    for name, model in before.items():
        if model:
            record[name] = model.card.get("trained_on", {})
    return record


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
