"""From samples, files or the entries of a wav.scp to features: one path, so that the same recording has the same numbers.

>>> from sertk.frontend.options import FbankOptions
>>> extract = FeatureExtractor(FbankOptions(num_mel_bins=80), cmvn=True)
>>> extract(np.arange(16000, dtype=np.int16) % 251, 16000).shape
(98, 80)
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import SCALE, check_sound, decode_file, one_channel
from sertk.frontend.cmvn import normalise
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import TorchaudioFbank, resample
from sertk.frontend.unfit import UnfitAudio, check_header, one_recording

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".m4a", ".mp4", ".aif", ".aiff", ".au", ".caf"}


class FeatureExtractor:
    """Samples into features, whether they come from an array, a file or make-fbank; each thread needs one of its own.

    Args:
        options: the front end's settings
        cmvn: normalise every recording by its own mean and variance
        norm_vars: with `cmvn`: the variance too, and not the mean alone
        channel: which one to take of an array or file of several, from 0; None averages them
        allow_resample: bring other sample rates to the one of `options` (else they are unfit)
        min_duration: seconds; what is shorter is unfit
        backend: numpy or torchaudio
        seed: of the dither, with the key
    """

    def __init__(
        self,
        options: FbankOptions,
        cmvn: bool = False,
        allow_resample: bool = True,
        min_duration: float = 0.0,
        backend: str = "numpy",
        seed: int = 0,
        norm_vars: bool = True,
        channel: int | None = None,
    ):
        self.options, self.cmvn, self.allow_resample = options, cmvn, allow_resample
        self.norm_vars, self.channel = norm_vars, channel
        self.min_duration, self.seed = min_duration, seed
        self.fbank = TorchaudioFbank(options) if backend == "torchaudio" else Fbank(options)

    @classmethod
    def of_model(cls, frontend: dict, model_path: Path) -> "FeatureExtractor":
        """The front end that a model's features were made with.

        Args:
            frontend: the model's settings, {"fbank": …, "cmvn": "segment", "segment mean" or "none"} and, where one of
                several channels was taken, {"channel": from 0}
            model_path: for messages

        Raises:
            SertkError: where the settings are unknown, or such that a single recording cannot be brought to them.
        """
        if "fbank" not in frontend:
            raise SertkError(
                f"{model_path}: does not say how its features were made (train on a table with a manifest)"
            )
        if (cmvn := frontend.get("cmvn")) not in ("segment", "segment mean", "none"):
            raise SertkError(f"{model_path}: its features were normalised over groups of segments, not over each alone")
        try:
            options = FbankOptions.of(frontend["fbank"])
            return cls(options, cmvn != "none", norm_vars=cmvn == "segment", channel=frontend.get("channel"))
        except SertkError as error:
            raise SertkError(f"{model_path}: {error}") from None

    def __call__(self, samples: np.ndarray, rate: float, key: str = "") -> np.ndarray:
        """The features of a recording.

        Args:
            samples: (samples,) or (samples, channels), of which `channel` or the mean is taken; int16, or floats in ±1
                (see `in_16_bits`)
            rate: Hz
            key: what the dither is drawn by, beside the seed

        Returns:
            float32 (frames, bins)

        Raises:
            UnfitAudio: for NaN or infinite samples, a silent recording, one too short, a rate that may not be converted.
            ValueError: for samples of another type, shape or range.
        """
        return self.features(self._one_channel(in_16_bits(samples)), rate, key)

    def of_file(self, path: Path) -> np.ndarray:
        """The features of an audio file, (frames, bins) float32; other rates are converted.

        Raises:
            UnfitAudio: where it is missing, not audio, damaged, silent or too short.
        """
        with one_recording():
            samples, rate = decode_file(path, self._chosen)
            # The samples are let go of before there are features: an hour at 44.1 kHz has 600 MB of them.
            samples = self._prepared(samples, rate)
            return self._computed(samples)

    def features(self, samples: np.ndarray, rate: float, key: str = "") -> np.ndarray:
        """The features of (samples,) in the 16-bit range, float32; what `__call__` and `of_file` end in."""
        with one_recording():
            samples = self._prepared(samples, rate)
            return self._computed(samples, key)

    def _prepared(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """The samples, found fit, at the rate of the features."""
        check_header(rate, 1)
        samples = np.asarray(samples, np.float32)
        if not np.isfinite(samples.sum(dtype=np.float64)):
            raise UnfitAudio("has NaN or infinite samples")
        seconds = len(samples) / rate
        if seconds < self.min_duration:
            raise UnfitAudio(f"lasts {seconds:g} s (--min-duration={self.min_duration:g})")
        check_sound(samples)
        return self._at_rate(samples, rate)

    def _computed(self, samples: np.ndarray, key: str = "") -> np.ndarray:
        # By key and not by order, so that neither threads nor the splitting of a list change the noise.
        rng = np.random.default_rng([self.seed, zlib.crc32(key.encode())]) if self.options.dither else None
        feats = self.fbank(samples, rng)
        if not len(feats):
            raise UnfitAudio(f"{len(samples)} samples are too few for a frame")
        return normalise(feats, self.norm_vars, out=feats) if self.cmvn else feats

    def _one_channel(self, samples: np.ndarray) -> np.ndarray:
        return samples if samples.ndim == 1 else self._chosen(checked_shape(samples))

    def _chosen(self, samples: np.ndarray) -> np.ndarray:
        """The channel that is taken of (samples, channels), or the mean of all: (samples,) float32."""
        if self.channel is None or samples.shape[1] == 1:
            return _mean_of_channels(samples)
        return np.asarray(one_channel(samples, self.channel), np.float32)

    def _at_rate(self, samples: np.ndarray, rate: float) -> np.ndarray:
        wanted = self.options.sample_frequency
        if rate == wanted:
            return samples
        if not self.allow_resample:
            raise UnfitAudio(
                f"has {rate:g} samples a second and {wanted:g} are wanted: --allow-resample=true converts it"
            )
        return resample(samples, int(rate), int(wanted))


def in_16_bits(samples: np.ndarray) -> np.ndarray:
    """Samples of an array in the range that all of sertk computes in, that of 16-bit integers, as float32.

    int16 is taken as it is; int32 and uint8 are scaled as wav files of theirs are; floats are in ±1, as soundfile,
    librosa and torchaudio give them, and are multiplied by 32768.

    Raises:
        ValueError: for floats beyond ±8, which are 16-bit numbers in all likelihood: `.astype(np.int16)` says so.
    """
    samples = np.asarray(samples)
    if samples.dtype == np.int16:
        return samples.astype(np.float32)
    if samples.dtype == np.int32:
        return (samples / 65536).astype(np.float32)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) * 256
    if samples.dtype.kind != "f":
        raise ValueError(f"samples of type {samples.dtype}: int16, int32, uint8 or floats in ±1 are read")
    largest = float(np.max(np.abs(samples), initial=0))
    if np.isfinite(largest) and largest > 8:
        raise ValueError(f"floats up to {largest:g}, and ±1 is their range: give 16-bit samples as int16")
    return samples.astype(np.float32) * np.float32(SCALE)


def checked_shape(samples: np.ndarray) -> np.ndarray:
    """Samples of shape (samples, channels).

    Raises:
        ValueError: for another shape, and where there are more channels than samples (they are the last axis).
    """
    if samples.ndim != 2 or samples.shape[1] > max(samples.shape[0], 1):
        raise ValueError(f"samples of shape {samples.shape}: (samples,) or (samples, channels) is wanted")
    return samples


def _mean_of_channels(samples: np.ndarray) -> np.ndarray:
    # A channel alone keeps its bits.
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0], np.float32)
    return samples.mean(axis=1, dtype=np.float32)


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
