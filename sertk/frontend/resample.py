"""Other sample rates: by torchaudio where its kernel is small, else by the same formula without the zeros in between.

torchaudio is imported here alone, for its resampling and for its own Kaldi features as the other backend.
"""

from functools import lru_cache
from math import ceil, gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sertk.errors import SertkError
from sertk.frontend.fbank import dithered, mel_filters, scaled
from sertk.frontend.options import FbankOptions
from sertk.frontend.unfit import UnfitAudio

# torchaudio's defaults: zero crossings of the sinc to each side, and the cutoff as a part of the lower Nyquist frequency.
ZEROS, ROLLOFF = 6, 0.99
# torchaudio's kernel has (rate · wanted) / gcd² weights, nearly all of them 0: 7e4 from 44100 to 16000 Hz, 3e5 from
# 11025, 9e7 from 22254. While it is made, each takes 40 bytes.
LARGEST_KERNEL = 1 << 20
# Samples that are converted as a whole.
LONGEST = 1 << 22
# Outputs that are computed at a time, and weights that are kept for the next ones.
_BLOCK, _KEPT = 8192, 1 << 20


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Samples at another rate, at a cost that the longer one of input and output decides, whatever the rates.

    Args:
        samples: float32 (samples,)
        rate: theirs, in Hz
        wanted: the rate to convert to, in Hz

    Returns:
        float32 (samples · wanted / rate, rounded up,)

    Raises:
        SertkError: where torchaudio is needed and cannot be used.
    """
    if rate == wanted:
        return samples
    old, new = rate // gcd(rate, wanted), wanted // gcd(rate, wanted)
    convert = interpolate if old * new > LARGEST_KERNEL else _by_torchaudio
    if len(samples) <= LONGEST:
        return convert(samples, old, new)
    # In pieces, whose temporaries are those of a minute. They begin at multiples of `old`, to which outputs belong.
    result = np.empty(ceil(len(samples) * new / old), np.float32)
    step = max(1, LONGEST // old)
    margin = ceil(_extent(old, new)[0] / old) + 1
    for first in range(0, ceil(len(samples) / old), step):
        begin = max(0, first - margin)
        piece = convert(samples[begin * old : (first + step + margin) * old], old, new)
        wanted_part = result[first * new : (first + step) * new]
        wanted_part[:] = piece[(first - begin) * new :][: len(wanted_part)]
    return result


def _by_torchaudio(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    torch, _ = _torchaudio()
    with torch.inference_mode():
        return _resampler(old, new)(torch.from_numpy(samples)).numpy()


def interpolate(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """What torchaudio.functional.resample computes, each output from the samples around it alone.

    Its windowed sinc (Hann, ZEROS crossings, ROLLOFF) is evaluated at the distance of every sample: no ratio is
    approximated. Agrees with torchaudio to 2e-5 of the largest
    sample, which is what torchaudio's float32 positions leave.

    Args:
        samples: float32 (samples,)
        old: their rate, by the greatest common divisor of both rates
        new: the wanted rate, likewise

    Returns:
        float32 (samples · new / old, rounded up,)
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
        # Exact: the position in the input as a whole number of samples and a number of new-ths.
        places, phases = np.divmod(outputs * old, new)
        weights = _kept_weights(old, new)[outputs % new] if keep else _weights(phases, old, new)
        np.einsum("ij,ij->i", windows[places], weights, out=result[first : first + size])
    return result


def _extent(old: int, new: int) -> tuple[int, int]:
    """How many samples an output is computed from, and how many of them lie before it."""
    before = ceil(ZEROS * old / (min(old, new) * ROLLOFF))
    return 2 * before + 1, before


def _weights(phases: np.ndarray, old: int, new: int) -> np.ndarray:
    """The weights of the samples around outputs that lie `phases` new-ths after a sample: (outputs, taps) float32."""
    taps, before = _extent(old, new)
    cutoff = min(old, new) * ROLLOFF / old
    distance = (np.arange(-before, taps - before) - phases[:, None] / new) * cutoff
    distance = np.clip(distance, -ZEROS, ZEROS)
    return (np.sinc(distance) * np.cos(np.pi / (2 * ZEROS) * distance) ** 2 * cutoff).astype(np.float32)


@lru_cache(maxsize=4)
def _kept_weights(old: int, new: int) -> np.ndarray:
    """The weights of `new` outputs in a row, after which they repeat."""
    return _weights(np.arange(new, dtype=np.int64) * old % new, old, new)


class TorchaudioFbank:
    """torchaudio.compliance.kaldi.fbank, called and behaving like sertk.frontend.fbank.Fbank."""

    def __init__(self, options: FbankOptions):
        self.torch, torchaudio = _torchaudio()
        self.fbank = torchaudio.compliance.kaldi.fbank
        self.options = options
        if options.window_type == "sine":
            raise SertkError("--backend=torchaudio has no --window-type=sine")
        mel_filters(options)  # refuses an empty filter, of which torchaudio would make a constant column

    def __call__(self, samples: np.ndarray, rng: "np.random.Generator | None" = None) -> np.ndarray:
        options = self.options
        samples = dithered(scaled(samples, options.sample_scale), options.dither, rng)
        if not options.num_frames(len(samples)):
            return np.empty((0, options.dim), np.float32)
        if len(samples) < options.length:
            raise UnfitAudio(
                f"{len(samples)} samples are shorter than a frame: torchaudio's fbank does not mirror them"
            )
        settings = {name.replace("-", "_"): value for name, value in options.settings().items()} | {"dither": 0.0}
        settings.pop("sample_scale", None)
        with self.torch.inference_mode():
            return self.fbank(self.torch.from_numpy(samples)[None], **settings).numpy()


@lru_cache(maxsize=8)
def _resampler(rate: int, wanted: int):
    _, torchaudio = _torchaudio()
    return torchaudio.transforms.Resample(rate, wanted)


def _torchaudio():
    """(torch, torchaudio), or SertkError that says what to install: pairs that do not fit fail in many ways."""
    try:
        import torch
        import torchaudio
        import torchaudio.compliance.kaldi
        import torchaudio.transforms
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SertkError(
            f"torchaudio cannot be used (torch {_version('torch')}, torchaudio {_version('torchaudio')}: {reason[:100]}): "
            "install a pair that fits, pip install torch==2.11.0 torchaudio==2.11.0"
        ) from None
    return torch, torchaudio


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # 10 ms that only this message needs

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
