"""Resampling: by torchaudio if its kernel is small, else by the same formula evaluated for each output.

This is the only module that imports torchaudio, for resampling and for its Kaldi features (--backend=torchaudio).
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from math import ceil, gcd
from types import ModuleType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sertk.errors import SertkError
from sertk.frontend.fbank import dithered, mel_filters, rescaled
from sertk.frontend.options import FbankOptions
from sertk.frontend.unfit import UnfitAudio

# torchaudio's defaults: zero crossings of the sinc on each side, and the cutoff relative to the lower Nyquist frequency.
ZEROS, ROLLOFF = 6, 0.99
# torchaudio's kernel has rate · wanted / gcd² weights, nearly all of them 0: 7e4 from 44100 to 16000 Hz, 3e5 from
# 11025, 9e7 from 22254. Computing it takes 40 bytes a weight.
LARGEST_KERNEL = 1 << 20
# Longest input, in samples, that is converted in one piece.
LONGEST = 1 << 22
# Outputs computed at a time, and number of weights up to which they are cached.
_BLOCK, _KEPT = 8192, 1 << 20


def resample(samples: np.ndarray, rate: int, wanted: int, reuse: bool = False) -> np.ndarray:
    """Convert samples to another rate; the cost depends on the lengths of input and output only.

    Args:
        samples: (samples,) float32
        rate: sample rate in Hz
        wanted: sample rate to convert to, in Hz
        reuse: the result may overwrite `samples`, an array that owns its memory and is not needed any more

    Returns:
        (⌈samples · wanted / rate⌉,) float32

    Raises:
        SertkError: if torchaudio is needed and cannot be imported.
    """
    if rate == wanted:
        return samples
    old, new = rate // gcd(rate, wanted), wanted // gcd(rate, wanted)
    convert = interpolate if old * new > LARGEST_KERNEL or not _torchaudio_is_installed() else _by_torchaudio
    if len(samples) <= LONGEST:
        return convert(samples, old, new)
    # Pieces bound the memory of the temporaries; they begin at multiples of `old`, at which an output lies.
    total, step = ceil(len(samples) * new / old), max(1, LONGEST // old)
    margin = ceil(_extent(old, new)[0] / old) + 1
    # No piece is written over samples that the next one needs.
    reuse = reuse and samples.flags.owndata and step * (old - new) >= margin * old
    result = samples if reuse else np.empty(total, np.float32)
    for first in range(0, ceil(len(samples) / old), step):
        begin = max(0, first - margin)
        piece = convert(samples[begin * old : (first + step + margin) * old], old, new)
        part = result[first * new : min((first + step) * new, total)]
        part[:] = piece[(first - begin) * new :][: len(part)]
    if reuse:
        del part
        result.resize(total, refcheck=False)  # gives the rest of the memory back
    return result


def _by_torchaudio(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    torch, _ = _torchaudio()
    with torch.inference_mode():
        return _resampler(old, new)(torch.from_numpy(samples)).numpy()


def interpolate(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """Resample like torchaudio.functional.resample, computing each output from its neighbouring samples only.

    The windowed sinc (Hann, ZEROS crossings, ROLLOFF) is evaluated at the exact distance of every sample. Agrees with
    torchaudio to 2e-5 of the largest sample, the rounding error of torchaudio's float32 positions.

    Args:
        samples: (samples,) float32
        old: sample rate, divided by the greatest common divisor of both rates
        new: sample rate to convert to, divided likewise

    Returns:
        (⌈samples · new / old⌉,) float32
    """
    taps, before = _extent(old, new)
    total = ceil(len(samples) * new / old)
    result = np.empty(total, np.float32)
    padded = np.pad(samples, (before, taps))
    windows = sliding_window_view(padded, taps)
    keep = new * taps <= _KEPT
    size = max(1, min(_BLOCK, _KEPT // taps))
    for first in range(0, total, size):
        outputs = np.arange(first, min(first + size, total), dtype=np.int64)
        # The exact position in the input, as a whole number of samples and a number of new-ths.
        places, phases = np.divmod(outputs * old, new)
        weights = _kept_weights(old, new)[outputs % new] if keep else _weights(phases, old, new)
        np.einsum("ij,ij->i", windows[places], weights, out=result[first : first + size])
    return result


def _extent(old: int, new: int) -> tuple[int, int]:
    """Number of samples that an output is computed from, and how many of them lie before it."""
    before = ceil(ZEROS * old / (min(old, new) * ROLLOFF))
    return 2 * before + 1, before


def _weights(phases: np.ndarray, old: int, new: int) -> np.ndarray:
    """Weights (outputs, taps) float32 of the samples around outputs that lie `phases` new-ths after a sample."""
    taps, before = _extent(old, new)
    cutoff = min(old, new) * ROLLOFF / old
    distance = (np.arange(-before, taps - before) - phases[:, None] / new) * cutoff
    distance = np.clip(distance, -ZEROS, ZEROS)
    return (np.sinc(distance) * np.cos(np.pi / (2 * ZEROS) * distance) ** 2 * cutoff).astype(np.float32)


@lru_cache(maxsize=4)
def _kept_weights(old: int, new: int) -> np.ndarray:
    """Weights (new, taps) of consecutive outputs, after which they repeat."""
    return _weights(np.arange(new, dtype=np.int64) * old % new, old, new)


class TorchaudioFbank:
    """torchaudio.compliance.kaldi.fbank with the interface of sertk.frontend.fbank.Fbank.

    Args:
        options: front-end settings

    Raises:
        SertkError: if torchaudio has no such window or cannot be imported, or if a mel filter holds no FFT bin.
    """

    def __init__(self, options: FbankOptions) -> None:
        self.torch, torchaudio = _torchaudio()
        self.fbank = torchaudio.compliance.kaldi.fbank
        self.options = options
        if options.window_type == "sine":
            raise SertkError("--backend=torchaudio has no --window-type=sine")
        mel_filters(options)  # refuses an empty filter, which torchaudio would turn into a constant column

    def __call__(self, samples: np.ndarray, rng: "np.random.Generator | None" = None) -> np.ndarray:
        """Compute the features of (samples,) in the 16-bit range: (frames, bins) float32."""
        options = self.options
        samples = dithered(rescaled(samples, options.sample_scale), options.dither, rng)
        if not options.num_frames(len(samples)):
            return np.empty((0, options.dim), np.float32)
        if len(samples) < options.length:
            raise UnfitAudio(
                f"has {len(samples)} samples, fewer than a frame, which torchaudio's fbank does not mirror"
            )
        settings = {name.replace("-", "_"): value for name, value in options.settings().items()} | {"dither": 0.0}
        settings.pop("sample_scale", None)
        with self.torch.inference_mode():
            return self.fbank(self.torch.from_numpy(samples)[None], **settings).numpy()


@lru_cache(maxsize=8)
def _resampler(rate: int, wanted: int) -> Callable:
    _, torchaudio = _torchaudio()
    return torchaudio.transforms.Resample(rate, wanted)


def _torchaudio() -> tuple[ModuleType, ModuleType]:
    """Import torch and torchaudio; versions that do not match raise many kinds of error.

    Raises:
        SertkError: if they cannot be imported; says what to install.
    """
    try:
        import torch
        import torchaudio
        import torchaudio.compliance.kaldi
        import torchaudio.transforms
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SertkError(
            f"torchaudio cannot be used (torch {_version('torch')}, torchaudio {_version('torchaudio')}: {reason[:100]}): "
            "install versions that match, pip install torch==2.11.0 torchaudio==2.11.0"
        ) from None
    return torch, torchaudio


def _torchaudio_is_installed() -> bool:
    try:
        return find_spec("torchaudio") is not None
    except ValueError:  # it has been kept from being imported
        return False


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # takes 10 ms

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
