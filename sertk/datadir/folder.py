"""Kaldi's data folder: lists of the same utterances, in the same order.

The known lists are Kaldi's (`wav.scp`, `segments`, `utt2spk`, `spk2utt`, `feats.scp`, `text`, …) and sertk's
(`utt2label`, `utt2session`, `utt2dialog`, …). Other files called `utt2…`, `spk2…`, `reco2…` or `….scp` are not checked;
a folder that is made from this one gets the lines whose first word is one of its keys.
Source: Kaldi, egs/wsj/s5/utils/validate_data_dir.sh, fix_data_dir.sh and subset_data_dir.sh.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sertk.datadir.lists import Columns, read_lines, read_list, split_words
from sertk.datadir.publish import STAGE
from sertk.errors import SertkError

# A file of this name marks a data folder; results computed from it carry the word.
STAMPS = ("PARTIAL", "SIMULATED", "TRANSDUCTIVE", "SPEAKER-DEPENDENT", "LEAKY")
FRAME_SHIFT = "frame_shift"
# The channel column of segments: a number, a letter of telephone corpora, -1 for "not given".
CHANNEL = re.compile(r"[0-9]{1,3}|A|B|-1")
# Lists that may lack utterances: Kaldi has no rule for them, IEMOCAP's raters did not vote on every segment, and
# utterances that utt2perturb lacks are not perturbed.
MAY_LACK = ("utt2votes", "utt2script", "utt2perturb")
_SPEAKER_LISTS = ("spk2utt", "spk2gender", "spk2warp", "cmvn.scp")
_RECORDING_LISTS = ("reco2dur", "reco2file_and_channel")
_COLUMNS: dict[str, Columns] = {
    **dict.fromkeys(("utt2spk", "utt2label", "utt2session", "utt2dialog", "utt2split", "utt2script", "utt2uniq"), 2),
    **dict.fromkeys(("utt2lang", "utt2dur", "utt2num_frames", "utt2warp", "spk2gender", "spk2warp", "reco2dur"), 2),
    "segments": (4, 5),
    "reco2file_and_channel": 3,
}
KNOWN = {*_SPEAKER_LISTS, *_RECORDING_LISTS, *_COLUMNS, "utt2votes", "utt2perturb", "text"}
KNOWN |= {"wav.scp", "feats.scp", "vad.scp"}
_OTHER = re.compile(r"(utt2|spk2|reco2)[\w-]+|[\w-]+\.scp|stm")


def level(name: str, segmented: bool) -> str | None:
    """Level of the keys of the list `name`: "utterance", "speaker" or "recording"; None for a file that is not a list.

    Args:
        name: file name.
        segmented: True if the folder has segments; without, each utterance is a recording.
    """
    if name not in KNOWN and not _OTHER.fullmatch(name):
        return None
    if name.startswith("spk2") or name == "cmvn.scp":
        return "speaker"
    if name.startswith("reco2") or name == "stm" or (name == "wav.scp" and segmented):
        return "recording"
    return "utterance"


def columns(name: str) -> Columns:
    """Number of columns of the list `name`, see sertk.datadir.lists.Columns."""
    return _COLUMNS.get(name)


def list_names(folder: Path) -> list[str]:
    """The known lists in a data folder, utt2spk first.

    Raises:
        SertkError: the folder cannot be read or has no utt2spk.
    """
    names = _file_names(folder)
    if "utt2spk" not in names:
        unfinished = " (the program that wrote it was killed: rerun it)" if (folder / STAGE).is_dir() else ""
        raise SertkError(f"{folder}: not a data folder: it has no utt2spk{unfinished}")
    return ["utt2spk", *(name for name in names if name in KNOWN - {"utt2spk"})]


def _file_names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise SertkError(f"{folder}: cannot be read: {error.strerror}") from None


@dataclass
class DataDir:
    """The lists of a data folder; lists["utt2spk"]["utt1"] is a speaker. spk2utt is derived from utt2spk on writing.

    Args:
        folder: where they were read.
        lists: {file name: {key: value}} of the known lists.
        others: (key, line) of every line of the unknown lists, by file name.
        files: content of files that are copied unchanged (stamps, frame_shift), by file name.
    """

    folder: Path
    lists: dict[str, dict[str, str]]
    others: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "DataDir":
        """Read all lists of a folder.

        Raises:
            SertkError: at the first invalid line (sertk.datadir.checks lists all of them).
        """
        folder = Path(folder)
        lists = {name: read_list(folder / name, columns(name)) for name in list_names(folder) if name != "spk2utt"}
        others, files = {}, {}
        try:
            for name in _file_names(folder):
                if name not in KNOWN and level(name, False):
                    others[name] = list(_keyed_lines((folder / name).read_bytes()))
                elif name in (*STAMPS, FRAME_SHIFT):
                    files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise SertkError(f"{error.filename}: cannot be read: {error.strerror}") from None
        return cls(folder, lists, others, files)

    @property
    def speaker_of(self) -> dict[str, str]:
        """utt2spk."""
        return self.lists["utt2spk"]

    @property
    def utterances(self) -> list[str]:
        """The utterances in LC_ALL=C order."""
        return sorted(self.speaker_of)

    @property
    def segmented(self) -> bool:
        """True if utterances are segments of recordings."""
        return "segments" in self.lists

    def recordings(self, utterances: Iterable[str]) -> set[str]:
        """The recordings of utterances; without segments, the utterances themselves."""
        if not self.segmented:
            return set(utterances)
        segments = self.lists["segments"]
        return {split_words(segments[utterance])[0] for utterance in utterances if utterance in segments}

    def keys(self, utterances: Iterable[str] | None = None) -> dict[str, set[str]]:
        """The keys of utterances (default: all), of their speakers and recordings, by level."""
        utterances = set(self.speaker_of if utterances is None else utterances)
        speakers = {self.speaker_of[utterance] for utterance in utterances}
        return {"utterance": utterances, "speaker": speakers, "recording": self.recordings(utterances)}

    def keep(self, utterances: Iterable[str]) -> "DataDir":
        """The folder reduced to these utterances, their speakers and their recordings."""
        kept = self.keys(utterances)
        lists, others = {}, {}
        for name, values in self.lists.items():
            keys = kept[level(name, self.segmented)]
            lists[name] = {key: value for key, value in values.items() if key in keys}
        for name, lines in self.others.items():
            keys = kept[level(name, self.segmented)]
            others[name] = [(key, line) for key, line in lines if key in keys or (name == "stm" and key[:2] == ";;")]
        return DataDir(self.folder, lists, others, self.files)

    def spk2utt(self) -> dict[str, str]:
        """Utterances of each speaker, separated by spaces; both in LC_ALL=C order."""
        of_speaker: dict[str, list[str]] = {}
        for utterance in self.utterances:
            of_speaker.setdefault(self.speaker_of[utterance], []).append(utterance)
        return {speaker: " ".join(of_speaker[speaker]) for speaker in sorted(of_speaker)}

    def contents(self) -> dict[str, bytes]:
        """Content of each file, lists in LC_ALL=C order. utt2spk is last: without it a folder is not a data folder."""
        contents = dict(self.files)
        contents |= {name: b"".join(line for _, line in lines) for name, lines in self.others.items() if lines}
        for name, values in [("spk2utt", self.spk2utt()), *reversed(self.lists.items())]:
            if values:
                contents[name] = "".join(f"{key} {values[key]}".rstrip() + "\n" for key in sorted(values)).encode()
        contents["utt2spk"] = contents.pop("utt2spk")
        return contents


def stale_names(folder: Path, data: DataDir, keep_fitting: bool) -> list[str]:
    """The known lists and stamps in a folder that would not match `data` once it is written there.

    Args:
        folder: about to be written.
        data: what will be written.
        keep_fitting: keep a list of exactly the keys of `data`, such as feats.scp if the recordings are unchanged; but
            not one that is empty in `data`.
    """
    if not folder.is_dir():
        return []
    contents = data.contents()
    names = [name for name in _file_names(folder) if name in KNOWN or name in STAMPS]
    names = [name for name in names if name not in contents]
    if not keep_fitting:
        return names
    sources = ("wav.scp", "segments", "utt2perturb")
    recordings = [name for name in sources if (folder / name).is_file() or name in contents]
    same_recordings = all(_content(folder / name) == contents.get(name) for name in recordings)
    return [name for name in names if name in data.lists or not _fits(folder / name, data, same_recordings)]


def _fits(path: Path, data: DataDir, same_recordings: bool) -> bool:
    name = path.name
    if name in ("segments", "wav.scp", "utt2perturb") or name not in KNOWN:
        return False
    if not same_recordings and name in ("feats.scp", "vad.scp", "cmvn.scp", "utt2num_frames", "utt2dur", "reco2dur"):
        return False
    try:
        keys = read_list(path, columns(name)).keys()
    except SertkError:
        return False
    needed = data.keys()[level(name, data.segmented)]
    return list(keys) == sorted(needed) or (name in MAY_LACK and list(keys) == sorted(keys & needed))


def utterances_of(folder: Path) -> set[str]:
    """The utterances of a folder's utt2spk, none if it cannot be read."""
    try:
        return {split_words(line)[0] for _, line in read_lines(folder / "utt2spk") if line}
    except SertkError:
        return set()


def _keyed_lines(content: bytes) -> Iterator[tuple[str, bytes]]:
    for line in content.splitlines(keepends=True):
        if words := line.split(None, 1):
            yield words[0].decode("utf-8", "surrogateescape"), line if line.endswith(b"\n") else line + b"\n"


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
