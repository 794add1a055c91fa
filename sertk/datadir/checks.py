"""All that is wrong with a data folder, one line each: what validate-data says.

Source: Kaldi, egs/wsj/s5/utils/validate_data_dir.sh; taken beyond it: column counts, values, our own lists, and with
`verify` the content of the tables and whether the recordings are there.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from sertk.datadir.folder import columns, level, list_names
from sertk.datadir.lists import read_lines
from sertk.errors import SertkError
from sertk.kaldi.ranges import split_range
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.streams import classify_input, split_offset
from sertk.kaldi.tables import open_table, verify_table


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
    if not {"wav.scp", "feats.scp"} & set(names):
        yield f"{folder}: has neither wav.scp nor feats.scp"
    yield from _speakers(folder, lists)
    yield from _sets(folder, lists)
    yield from _values(folder, lists)
    if verify:
        yield from _content(folder, lists)


def _lines(path: Path, wanted: int | None, values: dict) -> Iterator[str]:
    """Fill `values` with the good lines of a list; say what is wrong with the others, and with their order."""
    last = ""
    try:
        for number, line in read_lines(path):
            words = line.split()
            if len(words) != (wanted or max(len(words), 2)):
                yield f"{path}:{number}: {len(words)} columns where {wanted or 'at least 2'} are wanted: '{line[:80]}'"
                continue
            if words[0] in values:
                yield f"{path}:{number}: key {words[0]} comes twice"
            elif words[0] < last:
                yield f"{path}:{number}: key {words[0]} comes after {last}: not in LC_ALL=C order"
            last = max(last, words[0])
            values.setdefault(words[0], line[len(words[0]) :].strip())
    except SertkError as error:
        yield str(error)


def _speakers(folder, lists):
    speaker_of = lists["utt2spk"]
    last = ""
    for utterance, speaker in speaker_of.items():
        if not utterance.startswith(speaker):
            yield f"{folder}/utt2spk: speaker {speaker} is not a prefix of utterance {utterance}"
        elif speaker < last:
            # Kaldi sorts by speaker in places and by utterance in others: both orders must be one.
            yield f"{folder}/utt2spk: utterance {utterance} of {speaker} comes after one of {last}: the speakers mix"
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


def _sets(folder, lists):
    segmented = "segments" in lists
    recordings = {line.split()[0] for line in lists["segments"].values()} if segmented else set(lists["utt2spk"])
    wanted = {"utterance": set(lists["utt2spk"]), "speaker": set(lists["utt2spk"].values()), "recording": recordings}
    for name, values in lists.items():
        what = level(name, segmented)
        for key in sorted(wanted[what] - set(values)):
            yield f"{folder}/{name}: {what} {key} is missing"
        for key in sorted(set(values) - wanted[what]):
            yield f"{folder}/{name}: {what} {key} is not in {'segments' if what == 'recording' else 'utt2spk'}"


def _values(folder, lists):
    for name in ("utt2dur", "utt2num_frames", "reco2dur"):
        for key, text in lists.get(name, {}).items():
            number = _number(text)
            if not 0 < number < math.inf or (name == "utt2num_frames" and not text.isdigit()):
                yield f"{folder}/{name}: key {key}: '{text}' is no positive number"
    for key, line in lists.get("segments", {}).items():
        _, start, end = line.split()
        if not 0 <= _number(start) < math.inf or not (_number(start) < _number(end) < math.inf or end == "-1"):
            yield f"{folder}/segments: key {key}: '{start} {end}' are no times in order"
    for key, text in lists.get("spk2gender", {}).items():
        if text not in ("m", "f"):
            yield f"{folder}/spk2gender: speaker {key}: '{text}' is neither m nor f"


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
