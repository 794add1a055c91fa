"""Data folder of a report: transcripts, rater votes, features and audio of segments."""

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
from sertk.frontend.perturb_list import Perturb
from sertk.frontend.recordings import read_recordings
from sertk.frontend.speech import Speech
from sertk.kaldi.randomtable import RandomTable
from sertk.kaldi.specifiers import as_rspecifier


class Data:
    """A data folder; missing files are None or {}.

    Args:
        folder: with a wav.scp.

    Raises:
        SertkError: there is no wav.scp.

    Example:
        with Data(Path("data/all")) as data: …
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        read_list(folder / "wav.scp", columns=None)  # fails before anything is drawn

    def __enter__(self) -> "Data":
        return self

    def __exit__(self, *_: object) -> None:
        if "feats" in self.__dict__ and self.feats is not None:
            self.feats.close()

    @cached_property
    def feats(self) -> RandomTable | None:
        """Features, (frames, bins) of each segment."""
        path = self.folder / "feats.scp"
        return RandomTable(as_rspecifier(f"scp:{path}")) if path.exists() else None

    @cached_property
    def text(self) -> dict[str, str]:
        """Transcript of each segment."""
        path = self.folder / "text"
        return read_list(path, columns=None) if path.exists() else {}

    @cached_property
    def votes(self) -> dict[str, Votes]:
        """Rater votes on each segment."""
        path = self.folder / "utt2votes"
        return read_votes(path) if path.exists() else {}

    def normal(self, key: str) -> np.ndarray | None:
        """Features (frames, bins), normalised to mean 0 and variance 1 per bin; None if there are none."""
        if self.feats is None or key not in self.feats:
            return None
        return normalise(self.feats[key])

    def sounds(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Audio of segments as 16-bit WAV files; segments that cannot be read are left out."""
        wavs = read_list(self.folder / "wav.scp", columns=None)
        with tempfile.TemporaryDirectory() as folder:
            segments = self.folder / "segments"
            lines = {}
            if segments.exists():
                lines = {key: line for key, line in read_list(segments, columns=None).items() if key in set(keys)}
                write_list(f"{folder}/segments", lines)
            recordings = {line.split()[0] for line in lines.values()} or set(keys)
            write_list(f"{folder}/wav.scp", {name: value for name, value in wavs.items() if name in recordings})
            choice = {"segments": f"{folder}/segments"} if lines else {}
            speeches = read_recordings(f"scp:{folder}/wav.scp", **choice)
            perturbed = map(Perturb.of_folder(self.folder), speeches)
            return {speech.key: _wav(speech) for speech in perturbed if speech.samples is not None}


def _wav(speech: Speech) -> bytes:
    """A 16-bit WAV file."""
    file = io.BytesIO()
    samples = np.clip(np.rint(speech.samples), -32768, 32767).astype(np.int16)
    soundfile.write(file, samples, speech.rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
