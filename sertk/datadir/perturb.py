"""Perturbed copies of the utterances of a data folder: names and lists; make-fbank computes the speech.

Source of the names: Kaldi, egs/wsj/s5/utils/perturb_data_dir_speed.sh (`sp0.9-UTT` of the speaker `sp0.9-SPK`) and
steps/data/augment_data_dir.py (`UTT-noise` of the same speaker).
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from sertk.datadir.folder import DataDir, level
from sertk.datadir.overwrite import check_distinct, publish_folders
from sertk.datadir.perturb_draws import draws_of
from sertk.datadir.perturb_options import SUFFIXES, PerturbOptions
from sertk.datadir.perturb_steps import number
from sertk.datadir.publish import restore_files
from sertk.errors import SertkError

# Lists of features, which copies do not have yet.
_OF_FEATURES = ("feats.scp", "vad.scp", "cmvn.scp", "utt2num_frames")


class Copy(NamedTuple):
    """An utterance of the new folder.

    Attributes:
        source: the utterance of the old folder
        utterance: its new name
        speaker: its new speaker
        text: its line in utt2perturb; empty: not perturbed
        speed: by which durations are divided
    """

    source: str
    utterance: str
    speaker: str
    text: str
    speed: float = 1.0


def perturb(
    folder: str | os.PathLike, out: str | os.PathLike, options: PerturbOptions, seed: int = 0
) -> tuple[DataDir, list[str]]:
    """Write a folder of perturbed copies of the utterances of another one.

    What is drawn for a copy depends on the seed and its name only.

    Args:
        folder: the data folder
        out: the folder to write
        options: what is done to the utterances
        seed: of the draws

    Returns:
        The written data folder, and a line for each list that was left out or moved away.

    Raises:
        SertkError: if a folder of sounds has none, if there are too few speakers for babble, or if a name is taken.
    """
    restore_files(folder)
    data = DataDir.load(folder)
    check_distinct(out, [folder])
    copies = list(_copies(data, options, seed))
    taken = set()
    for copy in copies:
        if copy.utterance in taken:
            at_speed = copy.speaker != data.speaker_of[copy.source]
            remedy = "these are copies at this speed" if at_speed else "--suffix gives another name"
            raise SertkError(f"{folder}: utterance {copy.utterance} is there already ({remedy})")
        taken.add(copy.utterance)
    new, warnings = _lists(data, copies, Path(out), options.keep_ids)
    return new, warnings + publish_folders(Path(out), {".": new})


def _copies(data: DataDir, options: PerturbOptions, seed: int) -> Iterator[Copy]:
    """The utterances of the new folder: originals, speeds, and the other kinds of both."""
    before = data.lists.get("utt2perturb", {})
    originals = [Copy(utt, utt, data.speaker_of[utt], before.get(utt, "")) for utt in data.utterances]
    draws = draws_of(data, options)
    speeds = [_at_speed(copy, speed, options.keep_ids) for speed in options.speed for copy in originals]
    if options.keep_originals and not options.keep_ids:
        yield from originals
    yield from speeds
    for copy in [*originals, *speeds] if draws else ():
        for kinds in ([kind] for kind in draws) if options.each_kind else [list(draws)]:
            for count in range(1, options.copies + 1):
                random = Random(f"{seed} {copy.utterance} {' '.join(kinds)} {count}")
                kind = random.choice(kinds)
                text = f"{copy.text} {draws[kind](random, copy.source)}".strip()
                suffix = (options.suffix or SUFFIXES[kind]) + (str(count) if options.copies > 1 else "")
                name = copy.utterance if options.keep_ids else f"{copy.utterance}-{suffix}"
                yield copy._replace(utterance=name, text=text)


def _at_speed(copy: Copy, speed: float, keep_ids: bool) -> Copy:
    factor = number(speed)
    text = f"{copy.text} speed={factor}".strip()
    prefix = "" if keep_ids else f"sp{factor}-"
    return Copy(copy.source, prefix + copy.utterance, prefix + copy.speaker, text, speed)


def _lists(data: DataDir, copies: list[Copy], out: Path, keep_ids: bool) -> tuple[DataDir, list[str]]:
    """The lists of the new folder, each line of an utterance or speaker once for each of its copies."""
    source_of = {copy.speaker: data.speaker_of[copy.source] for copy in copies}
    by_level = {
        "utterance": [(copy.source, copy.utterance) for copy in copies],
        "speaker": [(source, speaker) for speaker, source in source_of.items()],
    }
    left_out = [name for name in data.lists if name in _OF_FEATURES]
    lists = {}
    for name, values in data.lists.items():
        unit = _unit(name, data)
        if name in _OF_FEATURES:
            continue
        if unit == "recording":
            lists[name] = values
        elif name in ("utt2dur", "reco2dur"):
            lists[name] = {c.utterance: _duration(values[c.source], c.speed) for c in copies if c.source in values}
        else:
            lists[name] = {new: values[old] for old, new in by_level[unit] if old in values}
    lists["utt2spk"] = {copy.utterance: copy.speaker for copy in copies}
    lists["utt2perturb"] = {copy.utterance: copy.text for copy in copies if copy.text}
    if not keep_ids:
        unique = data.lists.get("utt2uniq", {})
        lists["utt2uniq"] = {copy.utterance: unique.get(copy.source, copy.source) for copy in copies}
    others = {}
    for name, lines in data.others.items():
        unit = _unit(name, data)
        if name.endswith(".scp"):
            left_out.append(name)
        else:
            others[name] = lines if unit == "recording" else sorted(_renamed(lines, by_level[unit]))
    warnings = [f"{', '.join(sorted(left_out))}: left out, the copies have none yet"] if left_out else []
    new = DataDir(out, lists, others, data.files)
    return new.keep(new.utterances), warnings


def _unit(name: str, data: DataDir) -> str:
    """Level of a list's keys; without segments a recording is an utterance."""
    unit = level(name, data.segmented)
    return "utterance" if unit == "recording" and not data.segmented else unit


def _duration(seconds: str, speed: float) -> str:
    return seconds if speed == 1 else number(float(seconds) / speed)


def _renamed(lines: Iterable[tuple[str, bytes]], names: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """The lines of an unknown list, each once for each new name of its key."""
    rest_of: dict[str, list[bytes]] = {}
    for key, line in lines:
        rest_of.setdefault(key, []).append(line.lstrip()[len(key.encode("utf-8", "surrogateescape")) :])
    for old, new in names:
        for rest in rest_of.get(old, ()):
            yield new, new.encode("utf-8", "surrogateescape") + rest
