"""Checks of a data folder, one line for each problem: the output of validate-data.

Source: Kaldi, egs/wsj/s5/utils/validate_data_dir.sh and validate_text.pl. What they refuse is a problem here, except a
channel column in segments. Also checked: numbers of columns, numeric values, UTF-8, sertk's own lists, and with `verify`
the content of tables and whether recordings exist.
"""

import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from sertk.datadir.folder import CHANNEL, MAY_LACK, columns, level, list_names
from sertk.datadir.lists import column_problem, read_lines, read_list, split_words
from sertk.datadir.perturbations import parse
from sertk.errors import SertkError
from sertk.kaldi.filenames import parse_rxfilename
from sertk.kaldi.ranges import split_range
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import open_table, verify_table

Lists = Mapping[str, dict[str, str]]

# As `grep -w` matches: not within a word.
_ILLEGAL = re.compile(r"(?<![A-Za-z0-9_])(<s>|</s>|#0)(?![A-Za-z0-9_])")
_SPACES = re.compile(r"[\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def problems(folder: str | os.PathLike, verify: bool = False) -> Iterator[str]:
    """The problems of a data folder, one line each.

    Args:
        folder: the data folder.
        verify: also check tables against their manifests, their frames against utt2num_frames, and that recordings
            exist.
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
        yield from _read_list(folder / name, values)
        if not values:
            yield f"{folder / name}: has no usable line"
    yield from _irregular_space(folder / "utt2spk")
    yield from inconsistencies(folder, lists)
    if verify:
        yield from _content(folder, lists)


def remarks(folder: str | os.PathLike) -> Iterator[str]:
    """What is valid but not what it seems to be, one line each.

    That is what Kaldi's validate_data_dir.sh refuses, and copies of utterances that are not perturbed: Kaldi's scripts do
    not carry utt2perturb along.
    """
    yield from _unperturbed(Path(folder))
    path = Path(folder) / "segments"
    if path.is_file():
        lines = list(read_lines(path))
        if count := sum(len(split_words(line)) == 5 for _, line in lines):
            yield (
                f"{path}: {count} of {len(lines)} lines have a channel column: make-fbank reads it,"
                " Kaldi's validate_data_dir.sh refuses it"
            )


def _unperturbed(folder: Path) -> Iterator[str]:
    """Copies, by utt2uniq, of the same recording as their original, and nothing says how they are perturbed."""
    source = folder / ("segments" if (folder / "segments").is_file() else "wav.scp")
    if not (folder / "utt2uniq").is_file() or not source.is_file():
        return
    speech_of, original_of = read_list(source, columns=None), read_list(folder / "utt2uniq")
    perturbed = read_list(folder / "utt2perturb", columns=None) if (folder / "utt2perturb").is_file() else {}
    same = [
        copy
        for copy, original in original_of.items()
        if copy != original and speech_of.get(copy) == speech_of.get(original, "") and copy not in perturbed
    ]
    if same:
        yield (
            f"{folder}: {len(same)} utterances have the speech of another one and no line in utt2perturb ({same[0]} that of"
            f" {original_of[same[0]]}): their features will be the same"
        )


def inconsistencies(folder: str | os.PathLike, lists: Lists) -> Iterator[str]:
    """The problems of lists that were read, spk2utt among them: of their keys, their order and their values."""
    if not {"wav.scp", "feats.scp"} & set(lists):
        yield f"{folder}: has neither wav.scp nor feats.scp"
    if "segments" in lists and "wav.scp" not in lists:
        yield f"{folder}: has segments and no wav.scp"
    yield from _speakers(folder, lists)
    yield from _key_sets(folder, lists)
    yield from _values(folder, lists)
    yield from _transcripts(folder, lists)


def _read_list(path: Path, values: dict[str, str]) -> Iterator[str]:
    """Fill `values` with the valid lines of a list; yield the problems of the others, and of their order."""
    last = ""
    try:
        for number, line in read_lines(path):
            words = split_words(line)
            if problem := column_problem(path, len(words), columns(path.name)):
                yield f"{path}:{number}: {problem}: '{line[:80]}'"
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


def _irregular_space(path: Path) -> Iterator[str]:
    """Lines of utt2spk that `sort -k2` places elsewhere only because of their white space.

    To it, the second column begins with the white space before it, and white space at the beginning is part of the first.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return  # told by whoever reads the columns
    last = regular = (b"", b"")
    for number, line in enumerate(lines, 1):
        words = line.split(None, 1)
        if len(words) < 2:
            continue
        first = re.match(rb"\s*\S+", line)[0]
        place, tidy = (line[len(first) :], line), (words[1], words[0])
        if place < last and tidy >= regular:
            yield f"{path}:{number}: more than one space before or between its columns: 'sort -k2' places it elsewhere"
            return
        last, regular = place, tidy


def _speakers(folder: Path, lists: Lists) -> Iterator[str]:
    speaker_of = lists["utt2spk"]
    last = ""
    for utterance, speaker in speaker_of.items():
        if speaker < last:
            # Kaldi sorts by speaker in some places and by utterance in others: both orders must be the same.
            yield (
                f"{folder}/utt2spk: utterance {utterance} of {speaker} comes after one of {last}: sorted by speaker the"
                " order is another (make speakers prefixes of their utterances)"
            )
        last = max(last, speaker)
    if "spk2utt" not in lists:
        yield f"{folder}: has no spk2utt"
        return
    listed: dict[str, str] = {}
    for speaker, utterances in lists["spk2utt"].items():
        for utterance in split_words(utterances):
            if utterance in listed:
                yield f"{folder}/spk2utt: utterance {utterance} comes twice"
            listed[utterance] = speaker
            if speaker_of.get(utterance) != speaker:
                yield f"{folder}/spk2utt: utterance {utterance} is of {speaker}, in utt2spk of {speaker_of.get(utterance)}"
    for utterance in speaker_of:
        if utterance not in listed:
            yield f"{folder}/spk2utt: utterance {utterance} is missing"
    if listed == speaker_of:
        for utterance, expected in zip(listed, speaker_of):
            if utterance != expected:
                yield f"{folder}/spk2utt: utterance {utterance} where utt2spk has {expected}: not in the same order"
                return


def _key_sets(folder: Path, lists: Lists) -> Iterator[str]:
    segmented = "segments" in lists
    recordings = {split_words(line)[0] for line in lists["segments"].values()} if segmented else set(lists["utt2spk"])
    keys = {"utterance": set(lists["utt2spk"]), "speaker": set(lists["utt2spk"].values()), "recording": recordings}
    for name, values in lists.items():
        unit = level(name, segmented)
        for key in sorted(keys[unit] - set(values)) if name not in MAY_LACK else ():
            yield f"{folder}/{name}: {unit} {key} is missing"
        source = "segments" if unit == "recording" and segmented else "utt2spk"
        for key in sorted(set(values) - keys[unit]):
            yield f"{folder}/{name}: {unit} {key} is not in {source}"


def value_problem(name: str, value: str) -> str | None:
    """The problem of a value in the list `name`, None if it is valid."""
    if name in ("utt2dur", "utt2num_frames", "reco2dur"):
        if not 0 < _number(value) < math.inf or (name == "utt2num_frames" and not value.isdigit()):
            return f"'{value}' is not a positive {'whole ' if name == 'utt2num_frames' else ''}number"
    elif name in ("utt2warp", "spk2warp"):
        if not 0.5 < _number(value) < 1.5:
            return f"'{value}' is not a warp factor between 0.5 and 1.5"
    elif name == "segments":
        _, start, end, *channel = split_words(value)
        if end == "-1":
            return f"'{start} {end}': validate_data_dir.sh refuses an end of -1: write the recording's length"
        if not 0 <= _number(start) < _number(end) < math.inf:
            return f"'{start} {end}' are not times in order"
        if channel and not CHANNEL.fullmatch(channel[0]):
            return f"'{channel[0]}' is not a channel (0, 1, …, A, B, or -1 where it is left open)"
    elif name == "spk2gender":
        if value not in ("m", "f"):
            return f"'{value}' is neither m nor f"
    elif name == "reco2file_and_channel":
        if (channel := split_words(value)[1]) not in ("A", "B", "1"):
            return f"channel '{channel}' is neither A nor B"
    elif name == "utt2perturb":
        try:
            parse(value)
        except SertkError as error:
            return str(error)
    elif name == "wav.scp" and value.startswith("~"):
        return "begins with ~, which only a shell expands: write the full path"
    return None


def _values(folder: Path, lists: Lists) -> Iterator[str]:
    for name, values in lists.items():
        for key, value in values.items():
            if problem := value_problem(name, value):
                yield f"{folder}/{name}: key {key}: {problem}"


def _transcripts(folder: Path, lists: Lists) -> Iterator[str]:
    """Lines that validate_text.pl and validate_data_dir.sh refuse in a text."""
    for key, words in lists.get("text", {}).items():
        line = f"{key} {words}"
        where = f"{folder}/text: utterance {key}"
        if symbol := _ILLEGAL.search(line):
            yield f"{where}: {symbol[0]} is one of Kaldi's own symbols"
        if space := _SPACES.search(line):
            yield f"{where}: white space U+{ord(space[0]):04X}: a text may have only spaces and tabs"
        elif not line.isprintable() and (char := next(filter(_is_control, line), None)):
            yield f"{where}: a character that cannot be printed, U+{ord(char):04X}"


def _is_control(char: str) -> bool:
    # Not isprintable(): the C library and Python know different versions of Unicode.
    return char != "\t" and unicodedata.category(char) in ("Cc", "Cs")


def _content(folder: Path, lists: Lists) -> Iterator[str]:
    for key, name in lists.get("wav.scp", {}).items():
        try:
            place = parse_rxfilename(split_range(name)[0])
            if place.stored and not Path(place.path).is_file():
                yield f"{folder}/wav.scp: key {key}: {name} does not exist"
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


def _frames(folder: Path, lists: Lists) -> Iterator[str]:
    with open_table(parse_rspecifier(f"scp:{folder / 'feats.scp'}")) as table:
        listed = lists.get("utt2num_frames", {})
        for key, frames in zip(table.keys, table.num_frames.tolist()):
            if listed.get(key, str(frames)) != str(frames):
                yield f"{folder}/utt2num_frames: key {key}: {listed[key]}, feats.scp has {frames} frames"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
