"""What a data folder tells beside the scores: who spoke, what was said, how it looks and sounds."""

import io
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from sertk.frontend.cmvn import normalise
from sertk.frontend.recordings import read_recordings
from sertk.kaldi.lists import read_list, write_list
from sertk.kaldi.randomtable import RandomTable
from sertk.kaldi.specifiers import as_rspecifier
from sertk.report.systems import Experiment, System
from sertk.scoring.evaluation import column
from sertk.scoring.parts import PARTS
from sertk.scoring.results import breakdown


class Data:
    """A data folder; what it does not have is None or {}.

    with Data(Path("data/all")) as data: …
    """

    def __init__(self, folder: Path):
        self.folder = folder
        read_list(folder / "wav.scp", columns=None)  # a folder that is none is told of before anything is drawn

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if "feats" in self.__dict__ and self.feats is not None:
            self.feats.close()

    @cached_property
    def feats(self) -> RandomTable | None:
        path = self.folder / "feats.scp"
        return RandomTable(as_rspecifier(f"scp:{path}")) if path.exists() else None

    @cached_property
    def text(self) -> dict[str, str]:
        path = self.folder / "text"
        return read_list(path, columns=None) if path.exists() else {}

    @cached_property
    def votes(self) -> dict[str, str]:
        path = self.folder / "utt2votes"
        return read_list(path, columns=None) if path.exists() else {}

    def normal(self, key: str) -> np.ndarray | None:
        """Features (frames, bins), mean 0 and variance 1 in each bin; None where there are none."""
        if self.feats is None or key not in self.feats:
            return None
        return normalise(self.feats[key])

    def column(self, name: str, keys: Sequence[str]) -> list[str] | None:
        """Each key's value in a map; None where there is no such map. Raises SertkError for a key that it lacks."""
        path = self.folder / name
        return column(path, keys) if path.exists() else None

    def sounds(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Wav files (16 bit) of the segments that can be read."""
        wavs = read_list(self.folder / "wav.scp", columns=None)
        with tempfile.TemporaryDirectory() as folder:
            segments = self.folder / "segments"
            wanted = {}
            if segments.exists():
                wanted = {key: line for key, line in read_list(segments, columns=None).items() if key in set(keys)}
                write_list(f"{folder}/segments", wanted)
            recordings = {line.split()[0] for line in wanted.values()} or set(keys)
            write_list(f"{folder}/wav.scp", {name: value for name, value in wavs.items() if name in recordings})
            choice = {"segments": f"{folder}/segments"} if wanted else {}
            found = read_recordings(f"scp:{folder}/wav.scp", **choice)
            return {speech.key: _wav(speech) for speech in found if speech.samples is not None}


def _wav(speech) -> bytes:
    file = io.BytesIO()
    samples = np.clip(np.rint(speech.samples), -32768, 32767).astype(np.int16)
    soundfile.write(file, samples, speech.rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def breakdowns(system: System, experiment: Experiment, data: Data | None) -> dict[str, Mapping[str, dict]]:
    """Accuracies by speaker, gender, part, length and raters' agreement, those that are known; score-loso's own too."""
    test = experiment.test
    found = dict(system.results["by"])
    for name, values in _values(data, test.keys).items() if data else ():
        found[name] = breakdown(test.truth, system.scored.guess, values, test.labels)
    return {name: parts for name, parts in found.items() if len(parts) > 1}


def _values(data: Data, keys: Sequence[str]) -> dict[str, list[str]]:
    """A name for people -> each key's value."""
    found = {"speaker": data.column("utt2spk", keys), "length in frames": data.column("utt2num_frames", keys)}
    if found["speaker"] and (genders := data.column("spk2gender", found["speaker"])):
        found["gender"] = [{"f": "female", "m": "male"}.get(value, value) for value in genders]
    dialogs = data.column("utt2dialog", keys) or []
    parts = [[part for part, word in PARTS.items() if word in dialog] for dialog in dialogs]
    if parts and all(len(part) == 1 for part in parts):
        found["improvised or scripted"] = [part[0] for part in parts]
    if data.votes:
        found["raters' agreement"] = [agreement(data.votes.get(key, "")) for key in keys]
    return {name: values for name, values in found.items() if values}


def agreement(votes: str) -> str:
    """How many raters chose the category that most of them chose; the actors (F1, M1) rate themselves and are left out.

    >>> agreement("E1=ang E2=ang,fru E3= M1=sad"), agreement("")
    ('2 of 3', 'no votes')
    """
    raters = [vote.partition("=")[2].split(",") for vote in votes.split() if vote.startswith("E")]
    counts = Counter(word for words in raters for word in set(words) if word)
    return f"{max(counts.values())} of {len(raters)}" if counts else "no votes"
