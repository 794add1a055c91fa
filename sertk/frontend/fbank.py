"""Log-mel filter-bank features, number for number those of Kaldi's compute-fbank-feats, in numpy and scipy.fft.

>>> from sertk.frontend.fbank import Fbank, FbankOptions
>>> Fbank(FbankOptions(num_mel_bins=80))(np.zeros(16000)).shape
(98, 80)
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided

from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions

# The samples, frames and spectrum of this many frames stay in a core's L2 cache together.
BLOCK = 400
# Mel filters that are applied in one matrix product: they lie side by side and share most of their FFT bins.
BAND = 16
FLOOR = np.finfo(np.float32).eps


class Fbank:
    """Computes features; holds the buffers for it, so each thread needs one of its own.

    Shape:
        - Input: (samples,), in the 16-bit range whatever the type
        - Output: (frames, bins) float32, natural logarithms; no frames if there are too few samples

    `rng` is for dither alone (see `dithered`).
    Raises SertkError when a mel filter would not hold a single FFT bin.
    """

    def __init__(self, options: FbankOptions | None = None):
        self.options = options = options or FbankOptions()
        self._rfft = load_rfft()
        self._bands = [(a, b, np.repeat(m, 2, axis=0)) for a, b, m in bands(mel_filters(options))]
        # A frame and the zeros up to the FFT's length; the passes over them are over one flat array.
        self._frames = np.zeros((BLOCK, options.fft_length), np.float32)
        self._scaled = np.empty(BLOCK * options.fft_length, np.float32)
        # Its first sample is pre-emphasised by itself: x[0] −= c·x[0].
        taper = np.zeros(options.fft_length, np.float32)
        taper[: options.length] = window(options)
        taper[0] *= np.float32(1 - options.preemphasis_coefficient)
        self._window = np.tile(taper, BLOCK)

    def __call__(self, samples: np.ndarray, rng: "np.random.Generator | None" = None) -> np.ndarray:
        options = self.options
        samples = dithered(scaled(samples, options.sample_scale), options.dither, rng)
        total = options.num_frames(len(samples))
        if not options.snip_edges and total:
            samples = self._reflect(samples, total)
        feats = np.empty((total, options.dim), np.float32)
        for first in range(0, total, BLOCK):
            self._block(samples[first * options.shift :], feats[first : first + BLOCK])
        return feats

    def _reflect(self, samples: np.ndarray, total: int) -> np.ndarray:
        """The samples mirrored at both ends as far as frames centred on every shift reach (--snip-edges=false)."""
        left = self.options.length // 2 - self.options.shift // 2
        right = (total - 1) * self.options.shift + self.options.length - left - len(samples)
        if left < 0:  # a shift longer than the frame
            samples, left = samples[-left:], 0
        return np.pad(samples, (left, max(right, 0)), mode="symmetric")

    def _block(self, samples: np.ndarray, feats: np.ndarray):
        """The features of the frames that start at the first sample and follow each other, into `feats`."""
        options, count = self.options, len(feats)
        frames = self._frames[:count]
        filled, flat = frames[:, : options.length], frames.reshape(-1)
        raw = as_strided(samples, filled.shape, (options.shift * samples.itemsize, samples.itemsize), writeable=False)
        mean = np.einsum("ij->i", raw) / np.float32(options.length) if options.remove_dc_offset else np.zeros(count)
        np.subtract(raw, mean.astype(np.float32)[:, None], out=filled)
        if options.raw_energy:
            energy = self._energy(frames)

        # Pre-emphasis in one flat pass, after which a frame's last sample must not leak into what follows it.
        scaled = np.multiply(flat, np.float32(options.preemphasis_coefficient), out=self._scaled[: len(flat)])
        scaled[options.length - 1 :: options.fft_length] = 0
        flat[1:] -= scaled[:-1]
        flat *= self._window[: len(flat)]
        if not options.raw_energy:
            energy = self._energy(frames)

        power = self._rfft(frames).view(np.float32)  # re, im, re, im, …: the filters have every row twice
        np.multiply(power, power, out=power)
        mel = feats[:, 1:] if options.use_energy and not options.htk_compat else feats[:, : options.num_mel_bins]
        for start, column, filters in self._bands:
            rows, columns = filters.shape
            np.matmul(power[:, 2 * start : 2 * start + rows], filters, out=mel[:, column : column + columns])
        np.maximum(mel, FLOOR, out=mel)
        np.log(mel, out=mel)
        if options.use_energy:
            feats[:, -1 if options.htk_compat else 0] = energy

    def _energy(self, frames: np.ndarray) -> np.ndarray | None:
        """Log energy of each frame, if it is asked for."""
        if not self.options.use_energy:
            return None
        energy = np.log(np.maximum(np.einsum("ij,ij->i", frames, frames), FLOOR))
        floor = self.options.energy_floor
        return np.maximum(energy, np.log(np.float32(floor))) if floor > 0 else energy


def load_rfft():
    """scipy.fft.rfft over the last axis of float32 (frames, samples), without what `import scipy.fft` loads besides.

    That import takes 0.2 s of CPU time (scipy.special, numpy.f2py, numpy.testing), as much as the features of five minutes
    of speech; the compiled transform alone takes 1 ms. numpy's own rfft is five times slower in float32.
    """
    name = "scipy.fft._pocketfft.pypocketfft"
    try:
        folder = Path(find_spec("scipy").submodule_search_locations[0], *name.split(".")[1:-1])
        spec = spec_from_file_location(name, next(iter(sorted(folder.glob("pypocketfft.*.so")))))
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        r2c = module.r2c
        r2c(np.zeros((1, 2), np.float32), (1,), True, 0, None, 1)
    except (AttributeError, TypeError, IndexError, StopIteration, ImportError, ValueError):  # another scipy's insides
        from scipy.fft import rfft

        return rfft
    return lambda frames: r2c(frames, (1,), True, 0, None, 1)


def scaled(samples: np.ndarray, scale: float) -> np.ndarray:
    """`samples` as float32, times `scale`: Kaldi's range is that of 16-bit integers, and some toolkits' is ±1.

    That is more than a constant in the logarithms: their floor, float32's epsilon, is higher there by the scale squared.
    """
    samples = np.asarray(samples, np.float32)
    return samples if scale == 1 else samples * np.float32(scale)


def dithered(samples: np.ndarray, amount: float, rng: "np.random.Generator | None") -> np.ndarray:
    """`samples` with Gaussian noise of deviation `amount`; Kaldi draws it for each frame, here frames share it."""
    if not amount:
        return samples
    rng = rng or np.random.default_rng(0)
    return samples + np.float32(amount) * rng.standard_normal(len(samples), np.float32)


def window(options: FbankOptions) -> np.ndarray:
    """The window that a frame is multiplied with (Kaldi: feature-window.cc, FeatureWindowFunction): (length,)."""
    turn = 2 * np.pi / (options.length - 1) * np.arange(options.length)
    hanning = 0.5 - 0.5 * np.cos(turn)
    coeff = options.blackman_coeff
    shapes = {
        "povey": lambda: hanning**0.85,
        "hanning": lambda: hanning,
        "hamming": lambda: 0.54 - 0.46 * np.cos(turn),
        "sine": lambda: np.sin(0.5 * turn),
        "rectangular": lambda: np.ones(options.length),
        "blackman": lambda: coeff - 0.5 * np.cos(turn) + (0.5 - coeff) * np.cos(2 * turn),
    }
    return shapes[options.window_type]().astype(np.float32)


def mel_filters(options: FbankOptions) -> np.ndarray:
    """Triangles evenly spaced in mel, as weights on the power spectrum (Kaldi: mel-computations.cc): (FFT bins, bins).

    In float32 where Kaldi is, since a weight next to 0 doubles or vanishes with the rounding.
    Raises SertkError for a filter that is too narrow to hold an FFT bin.
    """
    width = np.float32(options.sample_frequency / options.fft_length)
    bins = _mel(width * np.arange(options.fft_length // 2, dtype=np.float32))[:, None]
    low, high = _mel(np.float32(options.low_freq)), _mel(np.float32(options.top))
    delta = (high - low) / np.float32(options.num_mel_bins + 1)
    left = low + np.arange(options.num_mel_bins, dtype=np.float32) * delta
    centre = low + np.arange(1, options.num_mel_bins + 1, dtype=np.float32) * delta
    right = low + np.arange(2, options.num_mel_bins + 2, dtype=np.float32) * delta
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    filters = np.where((bins > left) & (bins < right), np.where(bins <= centre, rising, falling), np.float32(0))
    empty = np.flatnonzero(~filters.any(axis=0))
    if len(empty):
        hertz = 700 * np.expm1(centre[empty[0]] / 1127)
        raise SertkError(
            f"mel filter {empty[0]} of {options.num_mel_bins} (from 0, centre {hertz:.1f} Hz) holds no bin of the "
            f"{options.fft_length}-point FFT: raise --low-freq={options.low_freq:g} or lower --num-mel-bins"
        )
    return filters.astype(np.float32)


def bands(filters: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """`filters` cut into groups of columns with the zeros above and below cut off: (first row, first column, part)."""
    parts = []
    for column in range(0, filters.shape[1], BAND):
        part = filters[:, column : column + BAND]
        rows = np.flatnonzero(part.any(axis=1))
        parts.append((int(rows[0]), column, np.ascontiguousarray(part[rows[0] : rows[-1] + 1])))
    return parts


def _mel(hertz: np.ndarray) -> np.ndarray:
    return np.float32(1127) * np.log(np.float32(1) + hertz / np.float32(700))
