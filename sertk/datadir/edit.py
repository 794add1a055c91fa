"""Data folders out of data folders: repaired, split, cut, put together. No utterance goes without a word.

Source: Kaldi, egs/wsj/s5/utils/{fix_data_dir,split_data,subset_data_dir,combine_data}.sh.
"""

import os
import shutil
from collections import Counter
from pathlib import Path

from sertk.atomic import publish
from sertk.datadir.folder import DataDir, columns, level, list_names, publish_folders, write_files
from sertk.datadir.lists import read_lines
from sertk.errors import SertkError


def fix(folder) -> list[str]:
    """Sort the lists of a folder and keep the utterances that all of them have; says what was done, a line each.

    What was there before stays in `.backup` (`.backup.2` and so on where there is one). Raises SertkError where no
    utterance would be left, and where a key has two different values: which is right is not for us to say.
    """
    folder = Path(folder)
    report: list[str] = []
    lists = {name: _good_lines(folder / name, report) for name in list_names(folder) if name != "spk2utt"}
    data = DataDir(folder, lists)
    kept, lost = set(), Counter()
    for utterance, speaker in data.speaker_of.items():
        reason = next((name for name in lists if not _has(data, name, utterance, speaker)), None)
        if reason is None:
            kept.add(utterance)
        else:
            lost[reason] += 1
    if not kept:
        reasons = ", ".join(f"{count} not in {name}" for name, count in lost.items())
        raise SertkError(
            f"{folder}: no utterance is in all lists ({reasons or 'utt2spk has no usable line'}): nothing was changed"
        )
    for name, count in lost.items():
        report.append(f"{count} utterances of utt2spk are not in {name}: left out")
    fixed = data.keep(kept)
    for name, values in lists.items():
        strangers = set(values) - set(fixed.lists[name])
        strangers -= {utterance for utterance in data.speaker_of if utterance not in kept}
        if strangers and level(name, data.segmented) == "utterance":
            report.append(f"{len(strangers)} utterances of {name} are not in utt2spk: left out")
        elif strangers:
            report.append(f"{len(strangers)} lines of {name} belong to no utterance: left out")
    changed = {name: text for name, text in fixed.texts().items() if _content(folder / name) != text.encode()}
    if not changed:
        return report
    backup = _backup(folder)
    try:
        write_files(folder, changed, ".tmp")
        # utt2spk goes last: without it a folder is none.
        order = sorted(changed, key=lambda name: name == "utt2spk")
        publish([(str(folder / f"{name}.tmp"), str(folder / name)) for name in order])
    except OSError as error:
        raise SertkError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
    finally:
        for name in changed:
            (folder / f"{name}.tmp").unlink(missing_ok=True)
    report.append(
        f"kept {len(kept)} of {len(data.speaker_of)} utterances; wrote {', '.join(sorted(changed))}; before: {backup}"
    )
    return report


def split(folder, number: int, per_utt: bool = False) -> Path:
    """Divide a folder into `splitN/1` … `splitN/N` below it, by speakers (`splitNutt`, by utterances).

    Parts are runs of the sorted order, as even in utterances as whole speakers allow. Raises SertkError where there
    are fewer speakers (utterances) than parts.
    """
    data = DataDir.load(folder)
    groups: dict[str, list[str]] = {}
    for utterance in data.utterances:
        groups.setdefault(utterance if per_utt else data.speaker_of[utterance], []).append(utterance)
    what = "utterances" if per_utt else "speakers"
    if len(groups) < number:
        raise SertkError(f"{folder}: {len(groups)} {what} cannot be split into {number} parts")
    parts, rest, left = {}, list(groups.values()), len(data.speaker_of)
    for part in range(number):
        taken, aim = rest.pop(0), left / (number - part)
        # One more group where that comes nearer to the even share, and enough are left for the other parts.
        while len(rest) >= number - part and abs(len(taken) + len(rest[0]) - aim) <= abs(len(taken) - aim):
            taken = taken + rest.pop(0)
        if part == number - 1:
            taken = taken + [utterance for group in rest for utterance in group]
        left -= len(taken)
        parts[str(part + 1)] = data.keep(taken)
    place = Path(folder) / f"split{number}{'utt' if per_utt else ''}"
    publish_folders(place, parts)
    return place


def subset(folder, out, choose) -> DataDir:
    """Write the folder `out` with the utterances that `choose(DataDir)` names; SertkError where it names none."""
    data = DataDir.load(folder)
    _not_the_same(out, [folder])
    utterances = choose(data)
    if not utterances:
        raise SertkError(f"{folder}: the subset has no utterance")
    found = data.keep(utterances)
    publish_folders(out, {".": found})
    return found


def chosen(data: DataDir, utt_list=None, spk_list=None, first=None, per_spk=None) -> list[str]:
    """The utterances of a folder that a list names, of the speakers that a list names, the first ones, or the first
    ones of every speaker; SertkError for a name that the folder does not have."""
    if first is not None:
        return data.utterances[:first]
    if per_spk is not None:
        count = Counter()
        found = []
        for utterance in data.utterances:
            count[data.speaker_of[utterance]] += 1
            if count[data.speaker_of[utterance]] <= per_spk:
                found.append(utterance)
        return found
    path = utt_list or spk_list
    names = {line.split()[0]: number for number, line in read_lines(path) if line}
    if not names:
        raise SertkError(f"{path}: is empty")
    for name in names.keys() - (data.speaker_of.keys() if utt_list else set(data.speaker_of.values())):
        raise SertkError(f"{path}:{names[name]}: {data.folder} has no {'utterance' if utt_list else 'speaker'} {name}")
    return [name for name in data.utterances if (name if utt_list else data.speaker_of[name]) in names]


def combine(folders, out) -> tuple[DataDir, list[str]]:
    """Put folders together into `out`; returns it and the lists that were left out since not every folder has them.

    Raises SertkError for an utterance in two folders, and for a recording or speaker with two different lines.
    """
    parts = [DataDir.load(folder) for folder in folders]
    _not_the_same(out, folders)
    if any(part.segmented for part in parts):
        for part in parts:
            _with_segments(part)
    common = set.intersection(*(set(part.lists) for part in parts))
    left_out = sorted(set().union(*(part.lists for part in parts)) - common)
    lists: dict[str, dict[str, str]] = {}
    for name in sorted(common):
        lists[name] = merged = {}
        for part in parts:
            for key, value in part.lists[name].items():
                if key in merged and (merged[key] != value or level(name, part.segmented) == "utterance"):
                    raise SertkError(f"{part.folder}/{name}: key {key} is in another of the folders too")
                merged[key] = value
    found = DataDir(Path(out), lists)
    publish_folders(out, {".": found})
    return found, left_out


def _with_segments(part: DataDir):
    """Give a folder of whole recordings the segments that say so; this takes utt2dur."""
    if part.segmented:
        return
    durations = part.lists.get("utt2dur")
    if durations is None:
        raise SertkError(f"{part.folder}: has no segments, another folder has; utt2dur would be needed to make them")
    part.lists["segments"] = {utterance: f"{utterance} 0 {seconds}" for utterance, seconds in durations.items()}


def _good_lines(path: Path, report: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    wanted = columns(path.name)
    for number, line in read_lines(path):
        words = line.split()
        if not words or len(words) != (wanted or max(len(words), 2)):
            report.append(f"{path}:{number}: {len(words)} columns where {wanted or 'at least 2'} are wanted: left out")
            continue
        value = line[len(words[0]) :].strip()
        if values.setdefault(words[0], value) != value:
            raise SertkError(f"{path}:{number}: key {words[0]} comes twice with different values: nothing was changed")
    return values


def _has(data: DataDir, name: str, utterance: str, speaker: str) -> bool:
    what = level(name, data.segmented)
    if what == "utterance":
        return utterance in data.lists[name]
    if what == "speaker":
        return speaker in data.lists[name]
    return data.recordings([utterance]) <= data.lists[name].keys()


def _backup(folder: Path) -> Path:
    number = 1
    while (place := folder / (".backup" if number == 1 else f".backup.{number}")).exists():
        number += 1
    try:
        place.mkdir()
        for name in list_names(folder):
            shutil.copy2(folder / name, place / name)
    except OSError as error:
        raise SertkError(f"{error.filename or place}: cannot be written: {error.strerror or error}") from None
    return place


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _not_the_same(out, folders):
    for folder in folders:
        if os.path.realpath(out) == os.path.realpath(folder):
            raise SertkError(f"{out}: is read and written at once")
