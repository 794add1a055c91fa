"""All that is wrong with a data folder, one line each: what validate-data says.

Source: Kaldi, egs/wsj/s5/utils/validate_data_dir.sh and validate_text.pl. What they refuse is refused; beyond it column
counts, values that are no numbers, text that is not UTF-8, our own lists, and with `verify` the content of the tables
and whether the recordings are there.
"""

import math
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from sertk.datadir.folder import MAY_LACK, columns, level, list_names
from sertk.datadir.lists import read_lines, split_words
from sertk.errors import SertkError
from sertk.kaldi.ranges import split_range
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.streams import classify_input, split_offset
from sertk.kaldi.tables import open_table, verify_table

# As `grep -w` finds them: not within a word.
_ILLEGAL = re.compile(r"(?<![A-Za-z0-9_])(<s>|</s>|#0)(?![A-Za-z0-9_])")
_SPACES = re.compile(r"[\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def problems(folder, verify: bool = False) -> Iterator[str]:
    """What is wrong with a data folder, a line each; nothing where it is as it should be.

    verify: check tables against their manifests, their frames against utt2num_frames, and that recordings exist.
    """
    folder = Path(folder)
    try:
        names = list_names(folder)
    except SertkError as error:
        yield str(error)
        return
    lists = {}
    for name in names:
        lists[name] = values = {}
        yield from _lines(folder / name, columns(name), values)
        if not values:
            yield f"{folder / name}: has no usable line"
    yield from inconsistencies(folder, lists)
    if verify:
        yield from _content(folder, lists)


def inconsistencies(folder, lists: dict[str, dict[str, str]]) -> Iterator[str]:
    """What is wrong with lists that were read, spk2utt among them: their keys, their order and their values."""
    if not {"wav.scp", "feats.scp"} & set(lists):
        yield f"{folder}: has neither wav.scp nor feats.scp"
    if "segments" in lists and "wav.scp" not in lists:
        yield f"{folder}: has segments and no wav.scp"
    yield from _speakers(folder, lists)
    yield from _sets(folder, lists)
    yield from _values(folder, lists)
    yield from _transcripts(folder, lists)


def _lines(path: Path, wanted: int | None, values: dict) -> Iterator[str]:
    """Fill `values` with the good lines of a list; say what is wrong with the others, and with their order."""
    last, least = "", 1 if path.name == "text" else 2
    try:
        for number, line in read_lines(path):
            words = split_words(line)
            if len(words) != (wanted or max(len(words), least)):
                yield f"{path}:{number}: {len(words)} columns where {wanted or f'at least {least}'} are wanted: '{line[:80]}'"
                continue
            if words[0] in values:
                yield f"{path}:{number}: key {words[0]} comes twice"
            elif words[0] < last:
                yield f"{path}:{number}: key {words[0]} comes after {last}: not in LC_ALL=C order"
            last = max(last, words[0])
            values.setdefault(words[0], line[len(words[0]) :].strip())
        if not _ends_in_newline(path):
            yield f"{path}: the last line has no newline at its end"
    except SertkError as error:
        yield str(error)


def _ends_in_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read() in (b"", b"\n")


def _speakers(folder, lists):
    speaker_of = lists["utt2spk"]
    last = ""
    for utterance, speaker in speaker_of.items():
        if speaker < last:
            # Kaldi sorts by speaker in places and by utterance in others: both orders must be one.
            yield (f"{folder}/utt2spk: utterance {utterance} of {speaker} comes after one of {last}: sorted by speaker the "
                   "order is another (speakers that are prefixes of their utterances keep it)")  # fmt: skip
        last = max(last, speaker)
    if "spk2utt" not in lists:
        yield f"{folder}: has no spk2utt"
        return
    listed = {}
    for speaker, utterances in lists["spk2utt"].items():
        for utterance in utterances.split():
            if utterance in listed:
                yield f"{folder}/spk2utt: utterance {utterance} comes twice"
            listed[utterance] = speaker
            if speaker_of.get(utterance) != speaker:
                yield f"{folder}/spk2utt: utterance {utterance} is of {speaker}, in utt2spk of {speaker_of.get(utterance)}"
    for utterance in speaker_of:
        if utterance not in listed:
            yield f"{folder}/spk2utt: utterance {utterance} is missing"
    if listed == speaker_of:
        for here, there in zip(listed, speaker_of):
            if here != there:
                yield f"{folder}/spk2utt: utterance {here} stands where utt2spk has {there}: not in the same order"
                return


def _sets(folder, lists):
    segmented = "segments" in lists
    recordings = {line.split()[0] for line in lists["segments"].values()} if segmented else set(lists["utt2spk"])
    wanted = {"utterance": set(lists["utt2spk"]), "speaker": set(lists["utt2spk"].values()), "recording": recordings}
    for name, values in lists.items():
        what = level(name, segmented)
        for key in sorted(wanted[what] - set(values)) if name not in MAY_LACK else ():
            yield f"{folder}/{name}: {what} {key} is missing"
        for key in sorted(set(values) - wanted[what]):
            yield f"{folder}/{name}: {what} {key} is not in {'segments' if what == 'recording' and segmented else 'utt2spk'}"


def value_problem(name: str, value: str) -> str | None:
    """What is wrong with a value in the list `name`, None where it is good."""
    if name in ("utt2dur", "utt2num_frames", "reco2dur"):
        if not 0 < _number(value) < math.inf or (name == "utt2num_frames" and not value.isdigit()):
            return f"'{value}' is no positive {'whole ' if name == 'utt2num_frames' else ''}number"
    elif name in ("utt2warp", "spk2warp"):
        if not 0.5 < _number(value) < 1.5:
            return f"'{value}' is no warp factor between 0.5 and 1.5"
    elif name == "segments":
        _, start, end = value.split()
        if end == "-1":
            return f"'{start} {end}': validate_data_dir.sh refuses an end of -1: write the recording's length"
        if not 0 <= _number(start) < _number(end) < math.inf:
            return f"'{start} {end}' are no times in order"
    elif name == "spk2gender":
        if value not in ("m", "f"):
            return f"'{value}' is neither m nor f"
    elif name == "reco2file_and_channel":
        if value.split()[1] not in ("A", "B", "1"):
            return f"channel '{value.split()[1]}' is neither A nor B"
    elif name == "wav.scp" and value.startswith("~"):
        return "begins with ~, which only a shell replaces: write the path in full"
    return None


def _values(folder, lists):
    for name, values in lists.items():
        for key, value in values.items():
            if problem := value_problem(name, value):
                yield f"{folder}/{name}: key {key}: {problem}"


def _transcripts(folder, lists):
    """What validate_text.pl and validate_data_dir.sh refuse of a text."""
    for key, words in lists.get("text", {}).items():
        line = f"{key} {words}"
        if found := _ILLEGAL.search(line):
            yield f"{folder}/text: utterance {key}: {found[0]} is a symbol of Kaldi's own"
        if found := _SPACES.search(line):
            yield f"{folder}/text: utterance {key}: white space U+{ord(found[0]):04X}: only spaces and tabs may be in a text"
        elif not line.isprintable() and (found := next(filter(_is_control, line), None)):
            yield f"{folder}/text: utterance {key}: a character that cannot be printed, U+{ord(found):04X}"


def _is_control(char: str) -> bool:
    # Of what Unicode has no letter for yet the C library and Python know different parts.
    return char != "\t" and unicodedata.category(char) in ("Cc", "Cs")


def _content(folder, lists):
    for key, name in lists.get("wav.scp", {}).items():
        try:
            place = split_range(name)[0]
            if classify_input(place) in ("file", "offset") and not Path(split_offset(place)[0]).is_file():
                yield f"{folder}/wav.scp: key {key}: {name} is not there"
        except SertkError as error:
            yield f"{folder}/wav.scp: key {key}: {error}"
    for name in ("feats.scp", "vad.scp"):
        if name in lists:
            try:
                verify_table(f"scp:{folder / name}")
                if name == "feats.scp":
                    yield from _frames(folder, lists)
            except SertkError as error:
                yield str(error)


def _frames(folder, lists):
    with open_table(parse_rspecifier(f"scp:{folder / 'feats.scp'}")) as table:
        counted = lists.get("utt2num_frames", {})
        for key, frames in zip(table.keys, table.num_frames.tolist()):
            if counted.get(key, str(frames)) != str(frames):
                yield f"{folder}/utt2num_frames: key {key}: says {counted[key]}, feats.scp has {frames} frames"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
