"""What a data folder knows of its segments, so that parts of a test are scored apart: speaker, gender, …"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.datadir.lists import read_list
from sertk.datadir.votes import Votes, agreeing, read_votes
from sertk.errors import SertkError
from sertk.scoring.parts import PARTS

GENDERS = {"f": "female", "m": "male"}
# What an interval's clusters are called, by the name of their map.
UNITS = {"utt2spk": "speakers", "utt2session": "sessions", "utt2dialog": "dialogs", "segment": "segments"}
# The stamp of intervals and tests that took segments as independent because nothing says who speaks.
UNGROUPED = "SPEAKERS-UNKNOWN"
UNGROUPED_LINE = (
    "segments were taken as independent, which they are not: speakers are not known (no utt2spk of all segments beside the"
    " folds, no --clusters)"
)


def unit_words(name: str, clusters: int, units: int) -> str:
    """How many of what was left out, drawn or exchanged.

    >>> unit_words("utt2spk", 24, 24), unit_words("utt2spk", 10, 5), unit_words("utt2scene", 3, 3)
    ('24 speakers', '10 speakers in 5 folds', '3 groups of utt2scene')
    """
    joined = f" in {units} folds" if units < clusters else ""
    return f"{clusters} {UNITS.get(name, f'groups of {name}')}{joined}"


def column(path: Path, keys: Sequence[str], least: int = 1) -> list[str]:
    """Each key's value in a map; SertkError for a key that it lacks, and for fewer than `least` different values."""
    values = read_list(path)
    for key in keys:
        if key not in values:
            raise SertkError(f"{path}: {key} is in the test and not in this map")
    found = [values[key] for key in keys]
    if len(set(found)) < least:
        raise SertkError(f"{path}: {least} different values or more are wanted, there is only '{found[0]}'")
    return found


def votes_of(data: Path, keys: Sequence[str]) -> list[Votes] | None:
    """The evaluators' votes on each key, [] where there are none; None without a utt2votes."""
    path = data / "utt2votes"
    if not path.exists():
        return None
    found = read_votes(path)
    return [found.get(key, []) for key in keys]


def known_groups(data: Path, keys: Sequence[str], label_map: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """A name for people -> each key's value, for all that the data folder has: utt2spk, spk2gender or utt2gender,
    utt2dialog (IEMOCAP's parts are in its names), utt2num_frames, utt2votes.

    label_map: of the experiment, whose raters agree where their labels are one class. What all keys have alike is left
    out. Raises SertkError for a key that a map lacks.
    """
    maps = {name: data / name for name in ("utt2spk", "utt2gender", "utt2dialog", "utt2num_frames")}
    maps = {name: column(path, keys) for name, path in maps.items() if path.exists()}
    found = {
        "gender": maps.get("utt2gender"),
        "speaker": maps.get("utt2spk"),
        "frames": maps.get("utt2num_frames"),
    }
    if found["speaker"] and not found["gender"] and (data / "spk2gender").exists():
        found["gender"] = column(data / "spk2gender", found["speaker"])
    if found["gender"]:
        found["gender"] = [GENDERS.get(value, value) for value in found["gender"]]
    parts = [[part for part, word in PARTS.items() if word in dialog] for dialog in maps.get("utt2dialog", ())]
    if parts and all(len(part) == 1 for part in parts):
        found["dialogs"] = [part[0] for part in parts]
    if votes := votes_of(data, keys):
        found["raters who agree"] = [agreement(said, label_map) for said in votes]
    order = ("gender", "dialogs", "raters who agree", "frames", "speaker")
    return {name: found[name] for name in order if found.get(name) and len(set(found[name])) > 1}


def agreement(votes: Votes, label_map: Mapping[str, str] | None = None) -> str:
    """How many evaluators chose the class that most of them chose.

    >>> agreement([("ang",), ("ang", "fru"), ()]), agreement([])
    ('2 of 3', 'no votes')
    """
    most, raters = agreeing(votes, label_map)
    return f"{most} of {raters}" if most else "no votes"
