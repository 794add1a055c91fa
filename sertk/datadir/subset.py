"""Some utterances of a data folder, the same as Kaldi's scripts choose.

Source: Kaldi, egs/wsj/s5/utils/{subset_data_dir.sh,subset_scp.pl,shuffle_list.pl}.
"""

import math
import os
from pathlib import Path

from sertk.datadir.folder import DataDir
from sertk.datadir.lists import read_names
from sertk.datadir.overwrite import Folder, check_distinct, publish_folders
from sertk.datadir.publish import restore_files
from sertk.errors import SertkError
from sertk.kaldi.tables import open_table


def subset(
    folder: Folder, out: Folder, how: str, number: int = 0, names_from: str | os.PathLike | None = None
) -> tuple[DataDir, list[str]]:
    """Write some utterances of a folder into the folder `out`.

    Args:
        folder: the data folder.
        out: the folder to write.
        how: see `chosen`, and so `number` and `names_from`.
        number: of utterances.
        names_from: a file of names.

    Returns:
        the written data folder, and a line for names that were not found and for each list of `out` that was moved away.

    Raises:
        SertkError: as `chosen`, or if `out` is `folder`.
    """
    restore_files(folder)
    data = DataDir.load(folder)
    check_distinct(out, [folder])
    utterances, warning = chosen(data, how, number, names_from)
    part = data.keep(utterances)
    return part, [warning] * bool(warning) + publish_folders(Path(out), {".": part})


def chosen(
    data: DataDir, how: str, number: int = 0, names_from: str | os.PathLike | None = None
) -> tuple[list[str], str]:
    """Choose some utterances of a folder, the same as subset_data_dir.sh.

    Args:
        data: the folder.
        how: "first"; "last"; "shortest"; "spread", evenly over the folder (the script without an option); "per-spk",
            `number` of each speaker; "speakers", whole speakers until there are `number` utterances; "utt-list" or
            "spk-list", the names in the first column of `names_from`.
        number: of utterances.
        names_from: a file.

    Returns:
        the utterances, and a warning about names in `names_from` that the folder does not have, else "".

    Raises:
        SertkError: the folder has fewer utterances or none of the names, or lengths are not known for "shortest".
    """
    utterances = data.utterances
    if how.endswith("-list"):
        return _listed(data, how, names_from)
    if number > len(utterances):
        raise SertkError(f"{data.folder}: has {len(utterances)} utterances, expected at least {number}")
    if how == "first":
        names = utterances[:number]
    elif how == "last":
        names = utterances[-number:]
    elif how == "spread":
        names = _spread(utterances, number)
    elif how == "shortest":
        frames = _frames(data)
        names = sorted(utterances, key=lambda utterance: (frames.get(utterance, math.inf), utterance))[:number]
    elif how == "per-spk":
        names = [name for line in data.spk2utt().values() for name in _spread_of_speaker(line.split(" "), number)]
    else:
        names, of_speaker = [], data.spk2utt()
        for speaker in shuffled(list(of_speaker)):
            if len(names) < number:
                names += of_speaker[speaker].split(" ")
    return names, ""


def _listed(data: DataDir, how: str, path: str | os.PathLike) -> tuple[list[str], str]:
    names = read_names(path)
    unit = "utterances" if how == "utt-list" else "speakers"
    name_of = data.speaker_of if unit == "speakers" else dict(zip(data.utterances, data.utterances))
    unknown = names - set(name_of.values())
    if len(unknown) == len(names):
        raise SertkError(f"{path}: {data.folder} has none of its {len(names)} {unit}: {min(names)}, …")
    warning = (
        f"{path}: {len(unknown)} of {len(names)} {unit} are not in {data.folder}: {min(unknown)}, …" if unknown else ""
    )
    return [utterance for utterance in data.utterances if name_of[utterance] in names], warning


def _frames(data: DataDir) -> dict[str, int]:
    if "utt2num_frames" in data.lists:
        lengths = data.lists["utt2num_frames"]
        if bad := next((key for key, value in lengths.items() if not value.isdigit()), None):
            raise SertkError(f"{data.folder}/utt2num_frames: key {bad}: '{lengths[bad]}' is not a number of frames")
        return {key: int(value) for key, value in lengths.items()}
    if "feats.scp" not in data.lists:
        raise SertkError(f"{data.folder}: the shortest cannot be chosen: it has neither utt2num_frames nor feats.scp")
    with open_table(f"scp:{data.folder / 'feats.scp'}") as table:
        return dict(zip(table.keys, table.num_frames.tolist()))


def _spread(items: list[str], number: int) -> list[str]:
    """`number` of the items, spread evenly (Kaldi: utils/subset_scp.pl, select_n)."""
    if len(items) == 1:
        return items[:number]
    half = len(items) // 2
    return _spread(items[:half], number // 2) + _spread(items[half:], number - number // 2) if number else []


def _spread_of_speaker(items: list[str], number: int) -> list[str]:
    """At most `number` of a speaker's utterances, spread evenly (Kaldi: subset_data_dir.sh --per-spk)."""
    step = max(len(items) // number, 1)
    return items[: number * step : step]


def shuffled(items: list[str]) -> list[str]:
    """Shuffle as Kaldi's utils/shuffle_list.pl: sort by perl's rand() after srand(0), compared as text."""
    state, drawn = 0x330E, []
    for item in items:
        state = (0x5DEECE66D * state + 0xB) % (1 << 48)
        drawn.append((format(state / (1 << 48), ".15g"), item))
    return [item for _, item in sorted(drawn, key=lambda pair: pair[0])]
