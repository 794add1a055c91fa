"""Groups of segments for breakdowns and clustered intervals: speaker, gender, dialog type, rater agreement, length."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.datadir.lists import read_list
from sertk.datadir.votes import Votes, agreeing, read_votes
from sertk.errors import SertkError
from sertk.scoring.parts import PARTS

GENDERS = {"f": "female", "m": "male"}
# Name of a map -> what its clusters are called.
UNITS = {"utt2spk": "speakers", "utt2session": "sessions", "utt2dialog": "dialogs", "segment": "segments"}
# Stamp of intervals and tests that treat segments as independent because the speakers are unknown.
UNGROUPED = "SPEAKERS-UNKNOWN"
UNGROUPED_LINE = (
    "speakers are unknown (no --clusters, and no utt2spk of all segments beside the folds): segments are treated as"
    " independent, so intervals are too narrow and p-values too small"
)


def unit_words(name: str, clusters: int, units: int) -> str:
    """Number and kind of the units of an interval or test.

    Args:
        name: name of the map.
        clusters: number of clusters.
        units: number of independent units, fewer than `clusters` if a fold's network scored several.

    Example:
        >>> unit_words("utt2spk", 24, 24), unit_words("utt2spk", 10, 5), unit_words("utt2scene", 3, 3)
        ('24 speakers', '10 speakers in 5 folds', '3 groups of utt2scene')
    """
    joined = f" in {units} folds" if units < clusters else ""
    return f"{clusters} {UNITS.get(name, f'groups of {name}')}{joined}"


def column(path: Path, keys: Sequence[str], least: int = 1) -> list[str]:
    """Read the value of each key from a map.

    Args:
        path: utt2X file.
        keys: segments.
        least: minimum number of different values.

    Raises:
        SertkError: a key is missing, or there are fewer than `least` different values.
    """
    values = read_list(path)
    for key in keys:
        if key not in values:
            raise SertkError(f"{path}: segment {key} of the test set is missing")
    column_values = [values[key] for key in keys]
    if len(set(column_values)) < least:
        raise SertkError(f"{path}: expected {least} different values or more, found only '{column_values[0]}'")
    return column_values


def votes_of(data: Path, keys: Sequence[str]) -> list[Votes] | None:
    """Rater votes on each key, [] for a key without votes; None if the data folder has no utt2votes."""
    path = data / "utt2votes"
    if not path.exists():
        return None
    votes = read_votes(path)
    return [votes.get(key, []) for key in keys]


def known_groups(data: Path, keys: Sequence[str], label_map: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Groups for breakdowns, from the maps of a data folder.

    Reads utt2spk, spk2gender or utt2gender, utt2dialog (IEMOCAP's dialog types), utt2num_frames and utt2votes, if present.
    Groups with a single value are left out.

    Args:
        data: data folder.
        keys: segments.
        label_map: label -> class; raters agree if their labels are of one class.

    Returns:
        name of the group -> value of each key.

    Raises:
        SertkError: a map lacks a key.
    """
    maps = {name: data / name for name in ("utt2spk", "utt2gender", "utt2dialog", "utt2num_frames")}
    maps = {name: column(path, keys) for name, path in maps.items() if path.exists()}
    groups = {
        "gender": maps.get("utt2gender"),
        "speaker": maps.get("utt2spk"),
        "frames": maps.get("utt2num_frames"),
    }
    if groups["speaker"] and not groups["gender"] and (data / "spk2gender").exists():
        groups["gender"] = column(data / "spk2gender", groups["speaker"])
    if groups["gender"]:
        groups["gender"] = [GENDERS.get(value, value) for value in groups["gender"]]
    parts = [[part for part, word in PARTS.items() if word in dialog] for dialog in maps.get("utt2dialog", ())]
    if parts and all(len(part) == 1 for part in parts):
        groups["dialogs"] = [part[0] for part in parts]
    if votes := votes_of(data, keys):
        groups["raters who agree"] = [agreement(segment_votes, label_map) for segment_votes in votes]
    order = ("gender", "dialogs", "raters who agree", "frames", "speaker")
    return {name: groups[name] for name in order if groups.get(name) and len(set(groups[name])) > 1}


def agreement(votes: Votes, label_map: Mapping[str, str] | None = None) -> str:
    """Number of raters who chose the majority class.

    >>> agreement([("ang",), ("ang", "fru"), ()]), agreement([])
    ('2 of 3', 'no votes')
    """
    most, raters = agreeing(votes, label_map)
    return f"{most} of {raters}" if most else "no votes"
