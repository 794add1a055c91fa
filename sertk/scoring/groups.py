"""Groups of segments for breakdowns and clustered intervals: speaker, gender, age, race, dialog type, raters, length."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.datadir.lists import read_list
from sertk.datadir.votes import Votes, agreeing, read_votes
from sertk.errors import SertkError
from sertk.scoring.parts import PARTS

GENDERS = {"f": "female", "m": "male"}
# Properties of speakers, from utt2<name> or spk2<name>.
TRAITS = ("gender", "age", "race", "ethnicity")
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

    Reads utt2spk, utt2dialog (IEMOCAP's dialog types), utt2num_frames, utt2votes, and gender, age, race and ethnicity
    (utt2gender or spk2gender, …), if present. Ages are divided into thirds of the speakers. Groups with a single value are
    left out.

    Args:
        data: data folder.
        keys: segments.
        label_map: label -> class; raters agree if their labels are of one class.

    Returns:
        name of the group -> value of each key.

    Raises:
        SertkError: a map lacks a key.
    """
    maps = {name: data / name for name in ("utt2spk", "utt2dialog", "utt2num_frames")}
    maps = {name: column(path, keys) for name, path in maps.items() if path.exists()}
    speakers = maps.get("utt2spk")
    groups = {"speaker": speakers, "frames": maps.get("utt2num_frames")}
    for name in TRAITS:
        if (data / f"utt2{name}").exists():
            groups[name] = column(data / f"utt2{name}", keys)
        elif speakers and (data / f"spk2{name}").exists():
            groups[name] = column(data / f"spk2{name}", speakers)
    if "gender" in groups:
        groups["gender"] = [GENDERS.get(value, value) for value in groups["gender"]]
    if "age" in groups:
        groups["age"] = age_groups(groups["age"], speakers or keys)
    parts = [[part for part, word in PARTS.items() if word in dialog] for dialog in maps.get("utt2dialog", ())]
    if parts and all(len(part) == 1 for part in parts):
        groups["dialogs"] = [part[0] for part in parts]
    if votes := votes_of(data, keys):
        groups["raters who agree"] = [agreement(segment_votes, label_map) for segment_votes in votes]
    order = (*TRAITS, "dialogs", "raters who agree", "frames", "speaker")
    return {name: groups[name] for name in order if groups.get(name) and len(set(groups[name])) > 1}


def age_groups(ages: Sequence[str], speakers: Sequence[str]) -> list[str]:
    """Ages as ranges with about a third of the speakers each; unchanged if they are not numbers, or three or fewer.

    Args:
        ages: (segments,) age of the speaker of each segment.
        speakers: (segments,) speaker of each segment.

    Example:
        >>> age_groups(["20", "24", "31", "38", "45", "60", "60"], ["a", "b", "c", "d", "e", "f", "f"])
        ['20-24', '20-24', '31-38', '31-38', '45-60', '45-60', '45-60']
    """
    try:
        values = [float(age) for age in ages]
    except ValueError:
        return list(ages)
    if len(set(values)) <= 3:
        return list(ages)
    of_speakers = sorted(dict(zip(speakers, values)).values())
    cuts = [of_speakers[-(-k * len(of_speakers) // 3) - 1] for k in (1, 2)]
    part = [bisect_left(cuts, value) for value in values]
    members = {k: [value for value, one in zip(values, part) if one == k] for k in set(part)}
    names = {k: "-".join(dict.fromkeys(f"{end:g}" for end in (min(group), max(group)))) for k, group in members.items()}
    return [names[k] for k in part]


def agreement(votes: Votes, label_map: Mapping[str, str] | None = None) -> str:
    """Number of raters who chose the majority class.

    >>> agreement([("ang",), ("ang", "fru"), ()]), agreement([])
    ('2 of 3', 'no votes')
    """
    most, raters = agreeing(votes, label_map)
    return f"{most} of {raters}" if most else "no votes"
