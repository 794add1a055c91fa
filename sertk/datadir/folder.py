"""Kaldi's data folder: lists that speak of the same utterances, in the same order.

Kaldi's files are known (`wav.scp`, `segments`, `utt2spk`, `spk2utt`, `feats.scp`, `text`, …), ours (`utt2label`,
`utt2session`, `utt2dialog`), and by their names any other `utt2…`, `spk2…`, `reco2…` and `….scp`: a list that is left
out when the others are cut is how folders go wrong.
Source: Kaldi, egs/wsj/s5/utils/validate_data_dir.sh and fix_data_dir.sh.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sertk.atomic import sync_folder
from sertk.datadir.lists import read_list
from sertk.errors import SertkError

_TWO_COLUMNS = {
    "utt2spk",
    "utt2label",
    "utt2session",
    "utt2dialog",
    "utt2dur",
    "utt2num_frames",
    "utt2uniq",
    "spk2gender",
}


def level(name: str, segmented: bool) -> str | None:
    """What the keys of the list `name` are: "utterance", "speaker", "recording"; None for a file that is no list."""
    if name.startswith("spk2") or name == "cmvn.scp":
        return "speaker"
    if name.startswith("reco2") or (name == "wav.scp" and segmented):
        return "recording"
    if name in ("segments", "text") or name.startswith("utt2") or name.endswith(".scp"):
        return "utterance"
    return None


def columns(name: str) -> int | None:
    """How many words a line of the list `name` has, None for two or more."""
    return 4 if name == "segments" else 2 if name in _TWO_COLUMNS else None


def list_names(folder: Path) -> list[str]:
    """The lists that a data folder holds, utt2spk first."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise SertkError(f"{folder}: cannot be read: {error.strerror}") from None
    names = [name for name in names if level(name, False) and not name.endswith((".tmp", ".old", ".npy"))]
    if "utt2spk" not in names:
        raise SertkError(f"{folder}: no data folder: it has no utt2spk")
    return ["utt2spk", *(name for name in names if name != "utt2spk")]


@dataclass
class DataDir:
    """The lists of a data folder: lists["utt2spk"]["utt1"] is a speaker. spk2utt is made anew when it is written."""

    folder: Path
    lists: dict[str, dict[str, str]]

    @classmethod
    def load(cls, folder) -> "DataDir":
        """Read all lists; SertkError at the first line that is not as it should be (see datachecks for all of them)."""
        folder = Path(folder)
        names = [name for name in list_names(folder) if name != "spk2utt"]
        return cls(folder, {name: read_list(folder / name, columns(name)) for name in names})

    @property
    def speaker_of(self) -> dict[str, str]:
        return self.lists["utt2spk"]

    @property
    def utterances(self) -> list[str]:
        return sorted(self.speaker_of)

    @property
    def segmented(self) -> bool:
        return "segments" in self.lists

    def recordings(self, utterances: Iterable[str]) -> set[str]:
        """The recordings that utterances are parts of (or, without segments, are)."""
        if not self.segmented:
            return set(utterances)
        segments = self.lists["segments"]
        return {segments[utterance].split()[0] for utterance in utterances if utterance in segments}

    def keep(self, utterances: Iterable[str]) -> "DataDir":
        """The same folder with these utterances alone, their speakers and their recordings."""
        kept = {"utterance": set(utterances)}
        kept["speaker"] = {self.speaker_of[utterance] for utterance in kept["utterance"]}
        kept["recording"] = self.recordings(kept["utterance"])
        lists = {}
        for name, values in self.lists.items():
            wanted = kept[level(name, self.segmented)]
            lists[name] = {key: value for key, value in values.items() if key in wanted}
        return DataDir(self.folder, lists)

    def texts(self) -> dict[str, str]:
        """The content of each file, in LC_ALL=C order, spk2utt among them."""
        of_speaker: dict[str, list[str]] = {}
        for utterance in self.utterances:
            of_speaker.setdefault(self.speaker_of[utterance], []).append(utterance)
        spk2utt = {speaker: " ".join(utterances) for speaker, utterances in of_speaker.items()}
        return {
            name: "".join(f"{key} {values[key]}\n" for key in sorted(values))
            for name, values in [*self.lists.items(), ("spk2utt", spk2utt)]
            if values
        }


def publish_folders(folder, parts: dict[str, DataDir]):
    """Write data folders, {name below `folder`: content} ("." for the folder itself), in place of what is there.

    All is written beside and renamed in one step, so that a half-written folder is never found.
    """
    folder = Path(os.path.realpath(folder))
    tmp, old = (folder.with_name(folder.name + end) for end in (".tmp", ".old"))
    try:
        shutil.rmtree(tmp, ignore_errors=True)
        if not folder.exists() and old.exists():  # a run was killed between the two renames
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        for name, content in parts.items():
            (tmp / name).mkdir(parents=True, exist_ok=True)
            write_files(tmp / name, content.texts())
        if folder.exists():
            folder.rename(old)
        try:
            tmp.rename(folder)
            sync_folder(folder.parent)
        except OSError:
            with suppress(OSError):
                if old.exists():
                    shutil.rmtree(folder, ignore_errors=True)
                    old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(tmp, ignore_errors=True)
        raise SertkError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None


def write_files(folder: Path, texts: dict[str, str], end: str = ""):
    """Write {name: text} into a folder and onto the disk; `end` is put after every name. Raises OSError."""
    for name, text in texts.items():
        with open(folder / (name + end), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(folder)
