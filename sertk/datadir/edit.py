"""Data folders from data folders: fix, split, subset, combine. Every utterance that is left out is reported.

Other files in the output folder (archives, logs, the user's own lists) are left alone. Known lists that would not match
the new content are moved to its `.backup`.
Source: Kaldi, egs/wsj/s5/utils/{fix_data_dir,split_data,subset_data_dir,combine_data}.sh.
"""

import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sertk.datadir.checks import inconsistencies, value_problem
from sertk.datadir.folder import (
    FRAME_SHIFT,
    STAMPS,
    DataDir,
    columns,
    level,
    list_names,
    stale_names,
    utterances_of,
)
from sertk.datadir.lists import column_problem, read_lines, split_words
from sertk.datadir.perturb_steps import number
from sertk.datadir.perturbations import speed_of
from sertk.datadir.publish import backup_folder, publish_files, restore_files
from sertk.errors import SertkError
from sertk.kaldi.tables import open_table

Folder = str | os.PathLike

# Utterances that one of these lists lacks are dropped: those of fix_data_dir.sh, and sertk's own.
_NEEDED = {
    "wav.scp",
    "segments",
    "feats.scp",
    "text",
    "utt2lang",
    "utt2dur",
    "utt2num_frames",
    "spk2gender",
    "cmvn.scp",
}
_NEEDED |= {"utt2label", "utt2session", "utt2dialog"}


def fix(folder: Folder) -> list[str]:
    """Sort the lists of a folder and keep the utterances that all of them have.

    The lists are first copied to `.backup` (`.backup.2`, … if that exists).

    Returns:
        what was changed, one line each; nothing if the folder was valid.

    Raises:
        SertkError: no utterance would be left, or a key has two different values; nothing was changed.
    """
    folder = Path(folder)
    restore_files(folder)
    report: list[str] = []
    lists = {name: _valid_lines(folder / name, report) for name in list_names(folder) if name != "spk2utt"}
    data = DataDir(folder, lists)
    needed = [name for name in lists if name in _NEEDED]
    kept, lacking = set(), Counter()
    for utterance, speaker in data.speaker_of.items():
        name = next((name for name in needed if not _has(data, name, utterance, speaker)), None)
        if name is None:
            kept.add(utterance)
        else:
            lacking[name] += 1
    if not kept:
        reasons = ", ".join(f"{count} not in {name}" for name, count in lacking.items())
        raise SertkError(
            f"{folder}: no utterance is in all lists ({reasons or 'utt2spk has no usable line'}): nothing was changed"
        )
    for name, count in lacking.items():
        report.append(f"{count} utterances of utt2spk are not in {name}: left out")
    fixed = data.keep(kept)
    for name, values in lists.items():
        unknown = set(values) - set(fixed.lists[name])
        unknown -= {utterance for utterance in data.speaker_of if utterance not in kept}
        if unknown and level(name, data.segmented) == "utterance":
            report.append(f"{len(unknown)} utterances of {name} are not in utt2spk: left out")
        elif unknown:
            report.append(f"{len(unknown)} lines of {name} belong to no utterance: left out")
    changed = {name: text for name, text in fixed.contents().items() if _content(folder / name) != text}
    if not changed:
        return report
    backup = _back_up(folder)
    publish_files(folder, changed)
    report.append(
        f"kept {len(kept)} of {len(data.speaker_of)} utterances; wrote {', '.join(sorted(changed))};"
        f" the old lists are in {backup}"
    )
    return report


def split(folder: Folder, number: int, per_utt: bool = False) -> tuple[Path, list[str]]:
    """Divide a folder into `splitN/1` … `splitN/N` below it, each part a run of the sorted order.

    Args:
        folder: the data folder.
        number: N.
        per_utt: divide by utterances (`splitNutt/…`), not by speakers.

    Returns:
        the folder of the parts, and a line for each list of an earlier split that was moved away.

    Raises:
        SertkError: there are fewer speakers (utterances) than parts.
    """
    restore_files(folder)
    data = DataDir.load(folder)
    groups: dict[str, list[str]] = {}
    for utterance in data.utterances:
        groups.setdefault(utterance if per_utt else data.speaker_of[utterance], []).append(utterance)
    if len(groups) < number:
        unit = "utterances" if per_utt else "speakers"
        raise SertkError(f"{folder}: {len(groups)} {unit} cannot be split into {number} parts")
    parts, rest, left = {}, list(groups.values()), len(data.speaker_of)
    for part in range(number):
        utterances, share = rest.pop(0), left / (number - part)
        # Add a group if that comes nearer to the even share, and enough groups remain for the other parts.
        while len(rest) >= number - part and abs(len(utterances) + len(rest[0]) - share) <= abs(
            len(utterances) - share
        ):
            utterances = utterances + rest.pop(0)
        if part == number - 1:
            utterances = utterances + [utterance for group in rest for utterance in group]
        left -= len(utterances)
        parts[str(part + 1)] = data.keep(utterances)
    place = Path(folder) / f"split{number}{'utt' if per_utt else ''}"
    return place, publish_folders(place, parts, keep_fitting=False)


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


def combine(folders: Sequence[Folder], out: Folder) -> tuple[DataDir, list[str]]:
    """Merge folders into `out`.

    A list that not all folders have is left out, except segments and utt2uniq, which can be derived, and utt2perturb.

    Returns:
        the written data folder, and a line for each list that was left out or moved away.

    Raises:
        SertkError: an utterance is in two folders, or a recording or speaker has two different lines.
    """
    for folder in folders:
        restore_files(folder)
    parts = [DataDir.load(folder) for folder in folders]
    check_distinct(out, folders)
    if any(part.segmented for part in parts):
        for part in parts:
            _add_segments(part)
    if any("utt2uniq" in part.lists for part in parts):
        for part in parts:
            part.lists.setdefault("utt2uniq", {utterance: utterance for utterance in part.utterances})
    if any("utt2perturb" in part.lists for part in parts):
        for part in parts:
            part.lists.setdefault("utt2perturb", {})
    common = set.intersection(*(set(part.lists) for part in parts))
    left_out = set().union(*(part.lists for part in parts)) - common
    lists: dict[str, dict[str, str]] = {}
    for name in sorted(common):
        lists[name] = merged = {}
        for part in parts:
            for key, value in part.lists[name].items():
                if key in merged and (merged[key] != value or level(name, part.segmented) == "utterance"):
                    raise SertkError(f"{part.folder}/{name}: key {key} is in another of the folders too")
                merged[key] = value
    combined = DataDir(Path(out), lists)
    for name in sorted(set().union(*(part.others for part in parts))):
        if all(name in part.others for part in parts):
            lines = dict.fromkeys(line for part in parts for line in part.others[name])
            combined.others[name] = list(lines) if name == "stm" else sorted(lines, key=lambda line: line[0])
        elif any(part.keep(part.utterances).others.get(name) for part in parts):
            left_out.add(name)
    combined.files = _combined_files(parts)
    combined = combined.keep(combined.utterances)
    warnings = [f"{name}: left out, since not every folder has it" for name in sorted(left_out)]
    return combined, warnings + publish_folders(Path(out), {".": combined})


def _combined_files(parts: list[DataDir]) -> dict[str, bytes]:
    """The stamps of any of several folders, with the lines of all, and the frame shift that they share."""
    files = {}
    for name in STAMPS:
        notes = [line for part in parts if name in part.files for line in part.files[name].splitlines()]
        if any(name in part.files for part in parts):
            files[name] = b"".join(line + b"\n" for line in dict.fromkeys(notes))
    shifts = {
        part.files[FRAME_SHIFT]: part for part in parts if FRAME_SHIFT in part.files and "feats.scp" in part.lists
    }
    if len(shifts) > 1:
        names = " and ".join(str(part.folder) for part in shifts.values())
        raise SertkError(f"{names} have different frame shifts (frame_shift): their features do not go together")
    for shift in shifts:
        files[FRAME_SHIFT] = shift
    return files


def publish_folders(out: Path, parts: Mapping[str, DataDir], keep_fitting: bool = True) -> list[str]:
    """Write data folders, {name below `out`: content}, over existing ones; returns a line for each list moved away.

    Raises:
        SertkError: a folder would not be valid, or cannot be written; nothing is written.
    """
    for name, data in parts.items():
        lists = {file: dict(sorted(values.items())) for file, values in data.lists.items() if values}
        problems = list(inconsistencies(out / name, lists | {"spk2utt": data.spk2utt()}))
        if problems:
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise SertkError(f"{problems[0]}{more}: nothing was written (fix-data repairs what it can)")
    if out.is_dir():
        restore_files(out)
    contents, away, warnings = {}, {}, []
    for name, data in parts.items():
        folder = out / name
        contents |= {str(Path(name, file)): content for file, content in data.contents().items()}
        stale = stale_names(folder, data, keep_fitting)
        backup = backup_folder(folder, stale) if stale else ""
        away |= {str(Path(name, file)): str(Path(name, backup, file)) for file in stale}
        warnings += [f"{folder / file}: does not match the new lists, moved to {folder / backup}" for file in stale]
        if keep_fitting and (lost := utterances_of(folder) - data.speaker_of.keys()):
            warnings.append(
                f"{folder}: {len(lost)} utterances of its old lists are not in the new ones; the old lists are in"
                f" {_back_up(folder)}"
            )
    publish_files(out, contents, away)
    return warnings


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
    names = {split_words(line)[0] for _, line in read_lines(path) if line}
    if not names:
        raise SertkError(f"{path}: is empty")
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


def _add_segments(part: DataDir) -> None:
    """Give a folder of whole recordings a segments list, made from utt2dur.

    Raises:
        SertkError: it has no utt2dur.
    """
    if part.segmented:
        return
    durations = part.lists.get("utt2dur")
    if durations is None:
        raise SertkError(
            f"{part.folder}: has no segments, which another folder has; utt2dur would be needed to make them"
        )
    perturbed = part.lists.get("utt2perturb", {})

    def recorded(utterance: str, seconds: str) -> str:
        """The duration before the speed changes: segments are cut first."""
        speed = speed_of(perturbed.get(utterance, ""))
        return seconds if speed == 1 else number(float(seconds) * speed)

    part.lists["segments"] = {key: f"{key} 0 {recorded(key, seconds)}" for key, seconds in durations.items()}


def _valid_lines(path: Path, report: list[str]) -> dict[str, str]:
    """The valid lines of a list; the others are added to `report`."""
    values: dict[str, str] = {}
    for line_number, line in read_lines(path):
        words = split_words(line)
        if problem := column_problem(path, len(words), columns(path.name)):
            report.append(f"{path}:{line_number}: {problem}: left out")
            continue
        value = line[len(words[0]) :].strip()
        if path.name in ("utt2dur", "utt2num_frames", "segments") and (problem := value_problem(path.name, value)):
            report.append(f"{path}:{line_number}: {problem}: left out")
        elif values.setdefault(words[0], value) != value:
            raise SertkError(
                f"{path}:{line_number}: key {words[0]} comes twice with different values: nothing was changed"
            )
    return values


def _has(data: DataDir, name: str, utterance: str, speaker: str) -> bool:
    unit = level(name, data.segmented)
    if unit == "utterance":
        return utterance in data.lists[name]
    if unit == "speaker":
        return speaker in data.lists[name]
    return data.recordings([utterance]) <= data.lists[name].keys()


def _back_up(folder: Path) -> Path:
    """Copy the lists of a folder to its first free `.backup`; returns that folder."""
    number = 1
    while (place := folder / (".backup" if number == 1 else f".backup.{number}")).exists():
        number += 1
    try:
        place.mkdir()
        try:
            for name in list_names(folder):
                shutil.copy2(folder / name, place / name)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    except OSError as error:
        raise SertkError(f"{error.filename or place}: cannot be written: {error.strerror or error}") from None
    return place


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def check_distinct(out: Folder, folders: Iterable[Folder]) -> None:
    """Check that the folder to write is none of those that are read.

    Raises:
        SertkError: it is.
    """
    for folder in folders:
        if Path(out).exists() and Path(out).samefile(folder):
            raise SertkError(f"{out}: cannot be read and written at once")
