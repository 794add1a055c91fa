"""Features of samples and of audio files, with the front-end settings of make-fbank or of a model.

>>> from sertk.frontend.options import FbankOptions
>>> extract = FeatureExtractor(FbankOptions(num_mel_bins=80), cmvn=True)
>>> extract(np.arange(16000, dtype=np.int16) % 251, 16000).shape
(98, 80)
"""

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import SCALE, check_range, check_sound, decode, decode_file, one_channel
from sertk.frontend.cmvn import normalise
from sertk.frontend.fbank import Fbank
from sertk.frontend.options import FbankOptions
from sertk.frontend.resample import TorchaudioFbank, resample
from sertk.frontend.unfit import UnfitAudio, check_header, one_recording


class FeatureExtractor:
    """Compute log-mel features of samples or of an audio file. Not thread-safe: each thread needs its own.

    make-fbank, classify-audio and the Python interface use it, so that a recording has the same features everywhere.

    Args:
        options: front-end settings
        cmvn: normalise every recording by its own mean and variance
        norm_vars: with `cmvn`: normalise the variance too, not the mean alone
        channel: channel to take of several, from 0; None averages them
        allow_resample: convert other sample rates (else such a recording is refused)
        min_duration: shortest recording in seconds
        backend: numpy or torchaudio
        seed: seed of the dither, together with the key

    `normaliser` is called with (frames, bins) and `out`, where it may write; None leaves features as they are. It may be set
    to one that has its statistics from elsewhere (see sertk.frontend.enrolment).
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
    ) -> None:
        self.options, self.allow_resample, self.channel = options, allow_resample, channel
        self.normaliser: Callable[..., np.ndarray] | None = partial(normalise, norm_vars=norm_vars) if cmvn else None
        self.min_duration, self.seed = min_duration, seed
        self.fbank = TorchaudioFbank(options) if backend == "torchaudio" else Fbank(options)

    @classmethod
    def of_model(cls, frontend: dict, model_path: Path) -> "FeatureExtractor":
        """The front end that computed a model's training features.

        Args:
            frontend: the model's settings, {"fbank": …, "cmvn": "segment", "segment mean" or "none"} and, if one of
                several channels was taken, {"channel": from 0}
            model_path: the model file, for messages

        Raises:
            SertkError: if the model has no settings, or if they cannot be applied to a single recording.
        """
        if "fbank" not in frontend:
            raise SertkError(
                f"{model_path}: holds no front-end settings, as the features it was trained on had no manifest (those of a "
                "pipe have none): train it on features that make-fbank --cmvn true wrote to a file"
            )
        if (cmvn := frontend.get("cmvn")) not in ("segment", "segment mean", "none"):
            of = frontend.get("group", cmvn)
            raise SertkError(
                f"{model_path}: its training features were normalised over groups of segments ({of}): it needs recordings of the"
                " same speaker: classify-audio --enrol PATH, or load_model(…).enrolled(…)"
            )
        try:
            options = FbankOptions.of(frontend["fbank"])
            return cls(options, cmvn != "none", norm_vars=cmvn == "segment", channel=frontend.get("channel"))
        except SertkError as error:
            raise SertkError(f"{model_path}: {error}") from None

    def __call__(self, samples: np.ndarray, rate: float, key: str = "") -> np.ndarray:
        """Compute the features of a recording.

        Args:
            samples: (samples,) or (samples, channels), of which `channel` or the mean is taken; int16, or floats in ±1
                (see `in_16_bits`)
            rate: sample rate in Hz
            key: key of the recording, which decides the dither together with the seed

        Returns:
            (frames, bins) float32

        Raises:
            UnfitAudio: if samples are NaN or infinite, if the recording is silent or too short, or if its rate must not
                be converted.
            ValueError: if samples have another type, shape or range.
        """
        return self.features(self._as_read(samples), rate, key)

    def prepared_from(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """Samples as `samples_of_file` returns them, from samples as `__call__` takes them; errors as there."""
        return self.prepared(self._as_read(samples), rate)

    def of_file(self, path: Path) -> np.ndarray:
        """Compute the features of an audio file; other sample rates are converted.

        Args:
            path: the audio file

        Returns:
            (frames, bins) float32

        Raises:
            UnfitAudio: if the file is missing, not audio, damaged, silent or too short.
        """
        # Frees the samples at the file's rate before the features are computed: 600 MB an hour at 44.1 kHz.
        return self.of_prepared(self.samples_of_file(path))

    def samples_of_file(self, path: Path) -> np.ndarray:
        """Read the samples that the features of an audio file are computed from.

        Args:
            path: the audio file

        Returns:
            (samples,) float32 in the 16-bit range, at the front end's sample rate

        Raises:
            UnfitAudio: if the file is missing, not audio, damaged, silent or too short.
        """
        with one_recording():
            samples, rate = decode_file(path, self._one_channel)
            return self._prepared(finite(samples), rate, reuse=True)

    def samples_of(self, content: bytes) -> np.ndarray:
        """As samples_of_file, for the content of an audio file."""
        with one_recording():
            samples, rate = decode(content)
            return self._prepared(finite(self._one_channel(samples)), rate, reuse=True)

    def prepared(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """Check samples and convert them to the front end's sample rate.

        Args:
            samples: (samples,) in the 16-bit range, finite
            rate: sample rate in Hz

        Returns:
            (samples,) float32

        Raises:
            UnfitAudio: if the recording is silent, or if its rate must not be converted.
        """
        with one_recording():
            return self._prepared(samples, rate)

    def of_prepared(self, samples: np.ndarray) -> np.ndarray:
        """Compute the features of samples of `samples_of_file` or `prepared`.

        Args:
            samples: (samples,)

        Returns:
            (frames, bins) float32

        Raises:
            UnfitAudio: if there are too few samples for a frame.
        """
        with one_recording():
            return self._computed(samples)

    def features(self, samples: np.ndarray, rate: float, key: str = "") -> np.ndarray:
        """Compute the features of samples that are in the 16-bit range already.

        Args:
            samples: (samples,) in the 16-bit range, finite
            rate: sample rate in Hz
            key: as for `__call__`

        Returns:
            (frames, bins) float32

        Raises:
            UnfitAudio: if the recording is silent or too short, or if its rate must not be converted.
        """
        with one_recording():
            samples = self._prepared(samples, rate)
            return self._computed(samples, key)

    def _prepared(self, samples: np.ndarray, rate: float, reuse: bool = False) -> np.ndarray:
        """Check the samples and convert them to the front end's sample rate."""
        check_header(rate, 1)
        samples = np.asarray(samples, np.float32)
        seconds = len(samples) / rate
        if seconds < self.min_duration:
            raise UnfitAudio(f"lasts {seconds:g} s (--min-duration={self.min_duration:g})")
        check_sound(samples)
        return self._at_rate(samples, rate, reuse)

    def _computed(self, samples: np.ndarray, key: str = "") -> np.ndarray:
        # Seeded by key, so that neither the number of threads nor splitting a list changes the noise.
        rng = np.random.default_rng([self.seed, zlib.crc32(key.encode())]) if self.options.dither else None
        feats = self.fbank(samples, rng)
        if not len(feats):
            raise UnfitAudio(too_short(len(samples)))
        return self.normaliser(feats, out=feats) if self.normaliser else feats

    def _as_read(self, samples: np.ndarray) -> np.ndarray:
        """One finite channel in the 16-bit range."""
        samples = in_16_bits(samples)
        return finite(samples if samples.ndim == 1 else self._one_channel(checked_shape(samples)))

    def _one_channel(self, samples: np.ndarray) -> np.ndarray:
        """Take `channel` of (samples, channels), or average them: (samples,) float32."""
        averaged = self.channel is None or samples.shape[1] == 1
        return _mean_of_channels(samples) if averaged else one_channel(samples, self.channel)

    def _at_rate(self, samples: np.ndarray, rate: float, reuse: bool) -> np.ndarray:
        wanted = self.options.sample_frequency
        if rate == wanted:
            return samples
        if not self.allow_resample:
            raise UnfitAudio(f"has a sample rate of {rate:g} Hz, not {wanted:g}: --allow-resample=true converts it")
        return resample(samples, int(rate), int(wanted), reuse)


def too_short(samples: int) -> str:
    """Return the reason for refusing a recording that is shorter than a frame."""
    return f"has {samples} samples, too few for a frame"


def finite(samples: np.ndarray) -> np.ndarray:
    """Check samples of any shape and return them.

    Raises:
        UnfitAudio: if one is NaN, infinite or too large to be squared.
    """
    check_range(samples)
    return samples


def in_16_bits(samples: np.ndarray) -> np.ndarray:
    """Convert samples to the 16-bit range in which the front end computes.

    Args:
        samples: any shape; int16 keeps its values, int32 and uint8 are scaled as in wav files, floats are in ±1, as
            soundfile, librosa and torchaudio return them, and are multiplied by 32768

    Returns:
        float32, of the same shape

    Raises:
        ValueError: for another type, and for floats beyond ±8, which most likely have the 16-bit range already:
            convert them with `.astype(np.int16)`.
    """
    samples = np.asarray(samples)
    if samples.dtype == np.int16:
        return samples.astype(np.float32)
    if samples.dtype == np.int32:
        return (samples / 65536).astype(np.float32)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) * 256
    if samples.dtype.kind != "f":
        raise ValueError(f"samples of type {samples.dtype}: must be int16, int32, uint8 or floats in ±1")
    largest = float(np.max(np.abs(samples), initial=0))
    if np.isfinite(largest) and largest > 8:
        raise ValueError(f"floats up to {largest:g}: must be in ±1 (pass 16-bit samples as int16)")
    return samples.astype(np.float32) * np.float32(SCALE)


def checked_shape(samples: np.ndarray) -> np.ndarray:
    """Check the shape of samples with channels and return them.

    Raises:
        ValueError: for another shape, or if there are more channels than samples (channels are the last axis).
    """
    if samples.ndim != 2 or samples.shape[1] > max(samples.shape[0], 1):
        raise ValueError(f"samples of shape {samples.shape}: must be (samples,) or (samples, channels)")
    return samples


def _mean_of_channels(samples: np.ndarray) -> np.ndarray:
    # Keeps the bits of a single channel.
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0], np.float32)
    return samples.mean(axis=1, dtype=np.float32)
