"""From a person's recording, whatever its rate and channels, to the features that a model was trained on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import UnfitAudio, decode, decode_ffmpeg, is_mp4
from sertk.frontend.cmvn import normalise
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import resample

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".m4a", ".mp4", ".aif", ".aiff", ".au"}


class Listener:
    """Recordings into the features that `frontend` (a model's settings) describes.

    Raises:
        SertkError: where the settings are unknown, or such that a single recording cannot be brought to them.
    """

    def __init__(self, frontend: dict, model_path: Path):
        if "fbank" not in frontend:
            raise SertkError(
                f"{model_path}: does not say how its features were made (train on a table with a manifest)"
            )
        if frontend.get("cmvn") not in ("segment", "none"):
            raise SertkError(f"{model_path}: its features were normalised over groups of segments, not over each alone")
        try:
            self.options = FbankOptions.of(frontend["fbank"])
        except SertkError as error:
            raise SertkError(f"{model_path}: {error}") from None
        self.fbank, self.cmvn = Fbank(self.options), frontend["cmvn"] == "segment"

    def __call__(self, path: Path) -> np.ndarray:
        """The features of a recording; channels are averaged, other rates converted. Shape: (frames, bins), float32.

        Raises:
            UnfitAudio: where it is not audio, damaged or too short.
        """
        data = path.read_bytes()
        samples, rate = decode_ffmpeg([data])[0] if is_mp4(data) else decode(data)
        mono = resample(samples.mean(axis=1, dtype=np.float32), rate, int(self.options.sample_frequency))
        if not np.isfinite(mono).all():
            raise UnfitAudio("has samples that are not numbers")
        feats = self.fbank(mono)
        if not len(feats):
            raise UnfitAudio(f"{len(mono)} samples are too few for a frame")
        return normalise(feats, out=feats) if self.cmvn else feats


def recordings_in(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files among `paths`, and in place of a folder the recordings in and below it, in the order of their names.

    Raises:
        SertkError: for a path that does not exist, or a folder without recordings.
    """
    for path in paths:
        if path.is_dir():
            named = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            inside = sorted(p for p in named if not p.is_dir())
            if not inside:
                raise SertkError(f"{path}: no recordings in this folder ({' '.join(sorted(SUFFIXES))})")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise SertkError(f"{path}: no such file or folder")
