"""The training records of models: what the manifest of a score archive says of its network's training.

Its settings have the record as `trained_on`:

    {"labels": [...], "frontend": {..., "transductive": true},
     "trained_on": {"fold": 2, "keys": [...], "speakers": [...], "target": "label",
                    "select": "dev-session", "chosen_epoch": 7, "chosen_on": {"fold": 3, "keys": [...]},
                    "trunk": {"keys": [...], ...}}}

Fused scores have `fused`, a list of the settings of every archive that went into them, each of which is checked; imported
ones have `imported`.

`trunk` and `init` are the training records of the network that it was initialised from, recursively; an imported network has
`source`, `sha256`, `licence`, `declared` (its training data in words) and, if they were listed, `speakers`. `keys` are the
training segments, `speakers` all their speakers, `chosen_on` the segments used for model selection: they count as training
data, except under the rule `oracle`, which selects on the test set at the user's request and is stamped LEAKY.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.datadir.lists import read_lines
from sertk.errors import SertkError

# The rule that selects the epoch by the score on the test fold.
ORACLE = "oracle"


def chain(trained_on: Mapping | None) -> Iterator[Mapping]:
    """Training records of a network and, recursively, of those it was initialised from; {} for a missing record."""
    if trained_on is None:
        return
    trained_on = trained_on if isinstance(trained_on, Mapping) else {}
    yield trained_on
    for name in ("trunk", "init"):
        if name in trained_on:
            yield from chain(trained_on[name] or {})


def speakers_in(record: Mapping, trials: bool = False) -> set[str] | None:
    """Speakers of a network's training and model selection data; None if not recorded.

    Args:
        record: training record.
        trials: True: labels are speakers, unless the record says what they are.
    """
    parts = [record] if record.get("select") == ORACLE else [record, record.get("chosen_on") or {}]
    speakers = set()
    for part in parts:
        if part.get("speakers") is not None:
            speakers.update(part["speakers"])
        elif trials and "labels" in part and "target" not in part:
            speakers.update(part["labels"])
        elif part is record or part.get("keys"):
            return None
    return speakers


def read_lines_of(path: Path) -> dict[str, str]:
    """The first word of each line of a file, with the second one, or "" where there is none.

    Raises:
        SertkError: the file cannot be read or is empty.
    """
    words = [line.split() for _, line in read_lines(path) if line]
    if not words:
        raise SertkError(f"{path}: is empty")
    return {first: rest[0] if rest else "" for first, *rest in words}


def training_record(
    fold: str | None,
    utterances: Sequence[str] | None,
    speakers: Iterable[str] | None,
    declared: str | None,
    speaker_of: Mapping[str, str],
) -> dict | None:
    """The training record of another toolkit's model, as its user declares it, for the leak guard.

    Args:
        fold: the held-out fold.
        utterances: its training segments; None if they are not declared.
        speakers: its training speakers; None: those of its segments, if all are known.
        declared: its training data in words.
        speaker_of: speaker of each known segment.

    Returns:
        None if nothing is declared.
    """
    if utterances is None and speakers is None and not declared:
        return None
    record: dict[str, Any] = {"fold": fold, "target": "label"}
    if declared:
        record["declared"] = declared
    if utterances is not None:
        record |= {"keys": sorted(utterances), "segments": len(utterances)}
        if speakers is None and all(key in speaker_of for key in utterances):
            speakers = {speaker_of[key] for key in utterances}
    if speakers is not None:
        record["speakers"] = sorted(speakers)
    return record
