"""Repair a data folder: sort its lists and keep the utterances that all of them have.

Source: Kaldi, egs/wsj/s5/utils/fix_data_dir.sh.
"""

from collections import Counter
from pathlib import Path

from sertk.datadir.checks import value_problem
from sertk.datadir.folder import DataDir, columns, level, list_names
from sertk.datadir.lists import column_problem, read_lines, split_words
from sertk.datadir.overwrite import Folder, back_up
from sertk.datadir.publish import publish_files, restore_files
from sertk.errors import SertkError

# Utterances that one of these lists lacks are dropped: those of fix_data_dir.sh, and sertk's own.
_NEEDED = {
    *("wav.scp", "segments", "feats.scp", "text", "utt2lang", "utt2dur", "utt2num_frames", "spk2gender", "cmvn.scp"),
    *("utt2label", "utt2session", "utt2dialog"),
}


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
    backup = back_up(folder)
    publish_files(folder, changed)
    report.append(
        f"kept {len(kept)} of {len(data.speaker_of)} utterances; wrote {', '.join(sorted(changed))};"
        f" the old lists are in {backup}"
    )
    return report


def _valid_lines(path: Path, report: list[str]) -> dict[str, str]:
    """The valid lines of a list; the others are added to `report`."""
    values: dict[str, str] = {}
    for number, line in read_lines(path):
        words = split_words(line)
        if problem := column_problem(path, len(words), columns(path.name)):
            report.append(f"{path}:{number}: {problem}: left out")
            continue
        value = line[len(words[0]) :].strip()
        if path.name in ("utt2dur", "utt2num_frames", "segments") and (problem := value_problem(path.name, value)):
            report.append(f"{path}:{number}: {problem}: left out")
        elif values.setdefault(words[0], value) != value:
            raise SertkError(f"{path}:{number}: key {words[0]} comes twice with different values: nothing was changed")
    return values


def _has(data: DataDir, name: str, utterance: str, speaker: str) -> bool:
    unit = level(name, data.segmented)
    if unit == "utterance":
        return utterance in data.lists[name]
    if unit == "speaker":
        return speaker in data.lists[name]
    return data.recordings([utterance]) <= data.lists[name].keys()


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
