"""Data folders out of data folders: repaired, split, cut, put together. No utterance goes without a word.

A folder that is written to may hold anything else: archives, logs, lists of the user's own. That stays as it is. A list
of what the folder held before, that would not belong to what it holds now, is moved to its `.backup`.
Source: Kaldi, egs/wsj/s5/utils/{fix_data_dir,split_data,subset_data_dir,combine_data}.sh.
"""

import math
import shutil
from collections import Counter
from collections.abc import Mapping
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
from sertk.datadir.lists import read_lines, split_words
from sertk.datadir.publish import backup_folder, publish_files, restore_files
from sertk.errors import SertkError
from sertk.kaldi.tables import open_table

# The lists that every utterance must be in, as for fix_data_dir.sh, and ours. From the others lines are only taken away.
_NEEDED = ("wav.scp", "segments", "feats.scp", "text", "utt2lang", "utt2dur", "utt2num_frames", "spk2gender", "cmvn.scp",
           "utt2label", "utt2session", "utt2dialog")  # fmt: skip


def fix(folder) -> list[str]:
    """Sort the lists of a folder and keep the utterances that all of them have; says what was done, a line each.

    What was there before stays in `.backup` (`.backup.2` and so on where there is one). Raises SertkError where no
    utterance would be left, and where a key has two different values: which is right is not for us to say.
    """
    folder = Path(folder)
    restore_files(folder)
    report: list[str] = []
    lists = {name: _good_lines(folder / name, report) for name in list_names(folder) if name != "spk2utt"}
    data = DataDir(folder, lists)
    needed = [name for name in lists if name in _NEEDED]
    kept, lost = set(), Counter()
    for utterance, speaker in data.speaker_of.items():
        reason = next((name for name in needed if not _has(data, name, utterance, speaker)), None)
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
    changed = {name: text for name, text in fixed.contents().items() if _content(folder / name) != text}
    if not changed:
        return report
    backup = _back_up(folder)
    publish_files(folder, changed)
    report.append(
        f"kept {len(kept)} of {len(data.speaker_of)} utterances; wrote {', '.join(sorted(changed))}; before: {backup}"
    )
    return report


def split(folder, number: int, per_utt: bool = False) -> tuple[Path, list[str]]:
    """Divide a folder into `splitN/1` … `splitN/N` below it, by speakers (`splitNutt`, by utterances).

    Parts are runs of the sorted order, as even in utterances as whole speakers allow. Gives the place, and a line for
    each list of an earlier split that was moved away. Raises SertkError where there are fewer speakers (utterances)
    than parts.
    """
    restore_files(folder)
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
    return place, _publish(place, parts, keep_fitting=False)


def subset(folder, out, how: str, number: int = 0, names_from=None) -> tuple[DataDir, list[str]]:
    """Write some utterances of a folder, `chosen` by `how`, into the folder `out`.

    Gives what was written, and a line for each list of `out` that was moved away. SertkError where none is chosen.
    """
    restore_files(folder)
    data = DataDir.load(folder)
    _not_the_same(out, [folder])
    utterances, told = chosen(data, how, number, names_from)
    found = data.keep(utterances)
    return found, [told] * bool(told) + _publish(Path(out), {".": found})


def combine(folders, out) -> tuple[DataDir, list[str]]:
    """Put folders together into `out`; gives what was written, and a line for each list that was left out or moved away.

    A list that not all folders have is left out, but for segments and utt2uniq, which can be made. Raises SertkError for an
    utterance in two folders, and for a recording or speaker with two different lines.
    """
    for folder in folders:
        restore_files(folder)
    parts = [DataDir.load(folder) for folder in folders]
    _not_the_same(out, folders)
    if any(part.segmented for part in parts):
        for part in parts:
            _with_segments(part)
    if any("utt2uniq" in part.lists for part in parts):
        for part in parts:
            part.lists.setdefault("utt2uniq", {utterance: utterance for utterance in part.utterances})
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
    found = DataDir(Path(out), lists)
    everything = found.utterances
    for name in sorted(set().union(*(part.others for part in parts))):
        if all(name in part.others for part in parts):
            lines = dict.fromkeys(line for part in parts for line in part.others[name])
            found.others[name] = list(lines) if name == "stm" else sorted(lines, key=lambda line: line[0])
        elif any(part.keep(part.utterances).others.get(name) for part in parts):
            left_out.add(name)
    found.files = _files_of(parts)
    found = found.keep(everything)
    told = [f"{name}: left out, since not every folder has it" for name in sorted(left_out)]
    return found, told + _publish(Path(out), {".": found})


def _files_of(parts: list[DataDir]) -> dict[str, bytes]:
    """The stamps that any of several folders has, with the lines of all, and the frame shift that they share."""
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


def _publish(out: Path, parts: Mapping[str, DataDir], keep_fitting: bool = True) -> list[str]:
    """Write data folders, {name below `out`: content}, over what is there; says what was moved away, a line each."""
    for name, data in parts.items():
        lists = {file: dict(sorted(values.items())) for file, values in data.lists.items() if values}
        found = list(inconsistencies(out / name, lists | {"spk2utt": data.spk2utt()}))
        if found:
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            raise SertkError(f"{found[0]}{more}: nothing was written (fix-data puts right what it can)")
    if out.is_dir():
        restore_files(out)
    contents, away, told = {}, {}, []
    for name, data in parts.items():
        folder = out / name
        contents |= {str(Path(name, file)): content for file, content in data.contents().items()}
        stale = stale_names(folder, data, keep_fitting)
        backup = backup_folder(folder, stale) if stale else ""
        away |= {str(Path(name, file)): str(Path(name, backup, file)) for file in stale}
        told += [f"{folder / file}: of what was there before, moved to {folder / backup}" for file in stale]
        if keep_fitting and (lost := utterances_of(folder) - data.speaker_of.keys()):
            told.append(f"{folder}: {len(lost)} utterances that it had are not in it now; before: {_back_up(folder)}")
    publish_files(out, contents, away)
    return told


def chosen(data: DataDir, how: str, number: int = 0, names_from=None) -> tuple[list[str], str]:
    """Some utterances of a folder, the same that subset_data_dir.sh chooses.

    Arguments:
        how: "first", "last", "shortest", "spread" (over the whole folder: the script without an option), "per-spk"
            (so many of each speaker, spread over his), "speakers" (whole ones, until there are so many utterances),
            "utt-list", "spk-list" (those that the first column of the file `names_from` names)
        number: of utterances
    Returns:
        The utterances, and a word about names in `names_from` that the folder does not have, else ""
    Raises:
        SertkError: the folder has not so many utterances, or no length is known to choose the shortest by
    """
    utterances = data.utterances
    if how.endswith("-list"):
        return _listed(data, how, names_from)
    if number > len(utterances):
        raise SertkError(f"{data.folder}: has {len(utterances)} utterances, {number} are wanted")
    if how == "first":
        found = utterances[:number]
    elif how == "last":
        found = utterances[-number:]
    elif how == "spread":
        found = _spread(utterances, number)
    elif how == "shortest":
        frames = _frames(data)
        found = sorted(utterances, key=lambda utterance: (frames.get(utterance, math.inf), utterance))[:number]
    elif how == "per-spk":
        found = [name for listed in data.spk2utt().values() for name in _spread_of_speaker(listed.split(), number)]
    else:
        found, of_speaker = [], data.spk2utt()
        for speaker in shuffled(list(of_speaker)):
            if len(found) < number:
                found += of_speaker[speaker].split()
    return found, ""


def _listed(data: DataDir, how: str, path) -> tuple[list[str], str]:
    names = {split_words(line)[0] for _, line in read_lines(path) if line}
    if not names:
        raise SertkError(f"{path}: is empty")
    what = "utterances" if how == "utt-list" else "speakers"
    strangers = names - (data.speaker_of.keys() if what == "utterances" else set(data.speaker_of.values()))
    told = (
        f"{path}: {len(strangers)} of {len(names)} {what} are not in {data.folder}: {min(strangers)}, …"
        if strangers
        else ""
    )
    if len(strangers) == len(names):
        raise SertkError(f"{path}: {data.folder} has none of its {len(names)} {what}: {min(names)}, …")
    own = data.speaker_of if what == "speakers" else dict(zip(data.utterances, data.utterances))
    return [name for name in data.utterances if own[name] in names], told


def _frames(data: DataDir) -> dict[str, int]:
    if "utt2num_frames" in data.lists:
        lengths = data.lists["utt2num_frames"]
        if wrong := next((key for key, value in lengths.items() if not value.isdigit()), None):
            raise SertkError(f"{data.folder}/utt2num_frames: key {wrong}: '{lengths[wrong]}' is no number of frames")
        return {key: int(value) for key, value in lengths.items()}
    if "feats.scp" not in data.lists:
        raise SertkError(f"{data.folder}: has neither utt2num_frames nor feats.scp to choose the shortest by")
    with open_table(f"scp:{data.folder / 'feats.scp'}") as table:
        return dict(zip(table.keys, table.num_frames.tolist()))


def _spread(items: list[str], number: int) -> list[str]:
    """`number` of them, spread evenly. Source: Kaldi, utils/subset_scp.pl, select_n."""
    if len(items) == 1:
        return items[:number]
    half = len(items) // 2
    return _spread(items[:half], number // 2) + _spread(items[half:], number - number // 2) if number else []


def _spread_of_speaker(items: list[str], number: int) -> list[str]:
    """At most `number` of a speaker's utterances, as far apart as goes. Source: subset_data_dir.sh --per-spk."""
    step = max(len(items) // number, 1)
    return items[: number * step : step]


def shuffled(items: list[str]) -> list[str]:
    """In the order of Kaldi's utils/shuffle_list.pl: by perl's rand() after srand(0), compared as text."""
    state, drawn = 0x330E, []
    for item in items:
        state = (0x5DEECE66D * state + 0xB) % (1 << 48)
        drawn.append((format(state / (1 << 48), ".15g"), item))
    return [item for _, item in sorted(drawn, key=lambda pair: pair[0])]


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
    wanted, least = columns(path.name), 1 if path.name == "text" else 2
    for number, line in read_lines(path):
        words = split_words(line)
        if not words or len(words) != (wanted or max(len(words), least)):
            report.append(
                f"{path}:{number}: {len(words)} columns where {wanted or f'at least {least}'} are wanted: left out"
            )
            continue
        value = line[len(words[0]) :].strip()
        if path.name in ("utt2dur", "utt2num_frames", "segments") and (problem := value_problem(path.name, value)):
            report.append(f"{path}:{number}: {problem}: left out")
        elif values.setdefault(words[0], value) != value:
            raise SertkError(f"{path}:{number}: key {words[0]} comes twice with different values: nothing was changed")
    return values


def _has(data: DataDir, name: str, utterance: str, speaker: str) -> bool:
    what = level(name, data.segmented)
    if what == "utterance":
        return utterance in data.lists[name]
    if what == "speaker":
        return speaker in data.lists[name]
    return data.recordings([utterance]) <= data.lists[name].keys()


def _back_up(folder: Path) -> Path:
    """Copy the lists of a folder to its first free `.backup`, and say which."""
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


def _not_the_same(out, folders):
    for folder in folders:
        if Path(out).exists() and Path(out).samefile(folder):
            raise SertkError(f"{out}: is read and written at once")
