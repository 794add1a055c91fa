"""Model card: training data, settings and versions; and the settings as a conf file."""

import logging
import platform
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from sertk import __version__
from sertk.atomic import atomic_file

log = logging.getLogger("sertk")

# Largest number of segments that a card lists; beyond it, it lists speakers only. No emotion corpus is as large.
MAX_KEYS = 100_000


def training_record(
    labels: dict[str, str], speaker_of: dict[str, str], fold: str | None, selection: dict, **initial: dict | None
) -> dict:
    """Record what a model was trained on, for the leak guard (sertk.scoring.leakguard).

    Args:
        labels: label of every training segment.
        speaker_of: speaker of the segments, {} if unknown.
        fold: the held-out fold.
        selection: how the epoch was selected (model_selection.selection_record).
        initial: training record of the model that it started from, as trunk=… or init=…; {} if unknown, None for none.
    """
    counts: dict[str, int] = {}
    for label in labels.values():
        counts[label] = counts.get(label, 0) + 1
    # The labels of a speaker network are speakers, whatever they are called.
    of_speakers = bool(speaker_of) and all(speaker_of.get(key) == label for key, label in labels.items())
    record = {"fold": fold, "segments": len(labels), "target": "speaker" if of_speakers else "label", **selection}
    if len(labels) <= MAX_KEYS:
        record["keys"] = sorted(labels)
    if len(labels) <= MAX_KEYS or not of_speakers:
        record["labels"] = dict(sorted(counts.items()))
    record |= _speakers(labels, speaker_of)
    if "chosen_on" in selection:
        record["chosen_on"] = selection["chosen_on"] | _speakers(selection["chosen_on"]["keys"], speaker_of)
    return record | {name: started_from for name, started_from in initial.items() if started_from is not None}


def _speakers(keys: Iterable[str], speaker_of: dict[str, str]) -> dict[str, list[str]]:
    """`speakers` of the segments; {} if the speaker of any is unknown."""
    if not speaker_of:
        return {}
    if missing := [key for key in keys if key not in speaker_of]:
        log.warning("speakers are not recorded: %d training segments are not in utt2spk (%s)", len(missing), missing[0])
        return {}
    return {"speakers": sorted({speaker_of[key] for key in keys})}


def model_card(command: str, settings: dict, trained_on: dict) -> dict:
    """The card of a model, in plain types.

    Args:
        command: the binary.
        settings: settings and fingerprints of the run.
        trained_on: from training_record.
    """
    versions = {
        "sertk": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    return {"command": command, "settings": settings, "trained_on": trained_on, "versions": versions}


def write_conf(path: Path, settings: dict) -> None:
    """Write settings as lines of --name=value, which --config reads."""
    with atomic_file(path, "w") as file:
        for name, value in settings.items():
            if value is None:
                continue
            text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
            text = text.lower() if isinstance(value, bool) else text
            file.write(f"--{name.replace('_', '-')}={text}\n")
