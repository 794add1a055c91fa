"""What a data folder tells beside the scores: who spoke, what was said, how it looks and sounds."""

import io
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from sertk.datadir.lists import read_list, write_list
from sertk.datadir.votes import Votes, read_votes
from sertk.frontend.cmvn import normalise
from sertk.frontend.recordings import read_recordings
from sertk.kaldi.randomtable import RandomTable
from sertk.kaldi.specifiers import as_rspecifier


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
    def votes(self) -> dict[str, Votes]:
        path = self.folder / "utt2votes"
        return read_votes(path) if path.exists() else {}

    def normal(self, key: str) -> np.ndarray | None:
        """Features (frames, bins), mean 0 and variance 1 in each bin; None where there are none."""
        if self.feats is None or key not in self.feats:
            return None
        return normalise(self.feats[key])

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
