"""Log-mel filter-bank features as Kaldi's compute-fbank-feats computes them, in numpy and scipy.fft.

>>> from sertk.frontend.fbank import Fbank, FbankOptions
>>> Fbank(FbankOptions(num_mel_bins=80))(np.zeros(16000)).shape
(98, 80)
"""

from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided

from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions

# Frames computed at a time: their samples and spectrum fit into a core's L2 cache.
BLOCK = 400
# Adjacent mel filters applied in one matrix product: they share most of their FFT bins.
BAND = 16
FLOOR = np.finfo(np.float32).eps


class Fbank:
    """Compute log-mel features. Not thread-safe: it reuses its buffers, so each thread needs its own.

    Args:
        options: front-end settings

    Shape:
        - Input: (samples,) of any type, in the 16-bit range; a random generator for the dither
        - Output: (frames, bins) float32, natural logarithms; no frames if there are too few samples

    Raises:
        SertkError: if a mel filter is so narrow that it holds no FFT bin.
    """

    def __init__(self, options: FbankOptions | None = None) -> None:
        self.options = options = options or FbankOptions()
        self._rfft = load_rfft()
        self._bands = [(a, b, np.repeat(m, 2, axis=0)) for a, b, m in bands(mel_filters(options))]
        # Frames zero-padded to the FFT's length; elementwise passes go over the flat array.
        self._frames = np.zeros((BLOCK, options.fft_length), np.float32)
        self._scaled = np.empty(BLOCK * options.fft_length, np.float32)
        # Pre-emphasis of a frame's first sample: x[0] −= c·x[0].
        taper = np.zeros(options.fft_length, np.float32)
        taper[: options.length] = window(options)
        taper[0] *= np.float32(1 - options.preemphasis_coefficient)
        self._window = np.tile(taper, BLOCK)

    def __call__(self, samples: np.ndarray, rng: "np.random.Generator | None" = None) -> np.ndarray:
        """Compute the features of (samples,) in the 16-bit range: (frames, bins) float32."""
        options = self.options
        samples = dithered(rescaled(samples, options.sample_scale), options.dither, rng)
        total = options.num_frames(len(samples))
        if not options.snip_edges and total:
            samples = self._reflect(samples, total)
        feats = np.empty((total, options.dim), np.float32)
        for first in range(0, total, BLOCK):
            self._block(samples[first * options.shift :], feats[first : first + BLOCK])
        return feats

    def _reflect(self, samples: np.ndarray, total: int) -> np.ndarray:
        """Mirror the samples at both ends, for --snip-edges=false."""
        left = self.options.length // 2 - self.options.shift // 2
        right = (total - 1) * self.options.shift + self.options.length - left - len(samples)
        if left < 0:  # a shift longer than the frame
            samples, left = samples[-left:], 0
        return np.pad(samples, (left, max(right, 0)), mode="symmetric")

    def _block(self, samples: np.ndarray, feats: np.ndarray) -> None:
        """Compute consecutive frames, the first at the first sample, into `feats` (frames, bins)."""
        options, count = self.options, len(feats)
        frames = self._frames[:count]
        filled, flat = frames[:, : options.length], frames.reshape(-1)
        raw = as_strided(samples, filled.shape, (options.shift * samples.itemsize, samples.itemsize), writeable=False)
        mean = np.einsum("ij->i", raw) / np.float32(options.length) if options.remove_dc_offset else np.zeros(count)
        np.subtract(raw, mean.astype(np.float32)[:, None], out=filled)
        if options.raw_energy:
            energy = self._energy(frames)

        # Pre-emphasis in one flat pass; a frame's last sample must not leak into the next frame.
        scaled = np.multiply(flat, np.float32(options.preemphasis_coefficient), out=self._scaled[: len(flat)])
        scaled[options.length - 1 :: options.fft_length] = 0
        flat[1:] -= scaled[:-1]
        flat *= self._window[: len(flat)]
        if not options.raw_energy:
            energy = self._energy(frames)

        power = self._rfft(frames).view(np.float32)  # re, im, re, im, …: the filters repeat every row
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
        """Log energy of each frame, (frames,); None without --use-energy."""
        if not self.options.use_energy:
            return None
        energy = np.log(np.maximum(np.einsum("ij,ij->i", frames, frames), FLOOR))
        floor = self.options.energy_floor
        return np.maximum(energy, np.log(np.float32(floor))) if floor > 0 else energy


def load_rfft() -> Callable[[np.ndarray], np.ndarray]:
    """Load scipy.fft.rfft without the rest of scipy.fft.

    `import scipy.fft` takes 0.2 s of CPU time (scipy.special, numpy.f2py, numpy.testing), as much as the features of
    five minutes of speech; the compiled transform alone takes 1 ms. numpy's own rfft is five times slower in float32.

    Returns:
        Function of (frames, samples) float32 to (frames, samples / 2 + 1) complex64.
    """
    name = "scipy.fft._pocketfft.pypocketfft"
    try:
        folder = Path(find_spec("scipy").submodule_search_locations[0], *name.split(".")[1:-1])
        spec = spec_from_file_location(name, next(iter(sorted(folder.glob("pypocketfft.*.so")))))
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        r2c = module.r2c
        r2c(np.zeros((1, 2), np.float32), (1,), True, 0, None, 1)
    except (AttributeError, TypeError, IndexError, StopIteration, ImportError, ValueError):  # another version of scipy
        from scipy.fft import rfft

        return rfft
    return lambda frames: r2c(frames, (1,), True, 0, None, 1)


def rescaled(samples: np.ndarray, scale: float) -> np.ndarray:
    """`samples` as float32, times `scale`: Kaldi's range is that of 16-bit integers, and some toolkits' is ±1.

    That is more than a constant in the logarithms: their floor, float32's epsilon, is higher there by the scale squared.
    """
    samples = np.asarray(samples, np.float32)
    return samples if scale == 1 else samples * np.float32(scale)


def dithered(samples: np.ndarray, amount: float, rng: "np.random.Generator | None") -> np.ndarray:
    """Add Gaussian noise to the samples; Kaldi draws it for each frame, here overlapping frames share it.

    Args:
        samples: (samples,) float32
        amount: standard deviation of the noise, in the 16-bit range
        rng: random generator; None: a new one with seed 0

    Returns:
        (samples,) float32
    """
    if not amount:
        return samples
    rng = rng or np.random.default_rng(0)
    return samples + np.float32(amount) * rng.standard_normal(len(samples), np.float32)


def window(options: FbankOptions) -> np.ndarray:
    """The analysis window, (samples,) float32 (Kaldi: feature-window.cc, FeatureWindowFunction)."""
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
    """Triangular filters evenly spaced in mel, as weights on the power spectrum (Kaldi: mel-computations.cc).

    Computed in float32 as in Kaldi: rounding decides about weights next to 0.

    Args:
        options: front-end settings

    Returns:
        (FFT bins, mel bins) float32

    Raises:
        SertkError: if a filter is so narrow that it holds no FFT bin.
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
    """Split filters into groups of adjacent columns, without the rows that are 0 in all of them.

    Args:
        filters: (FFT bins, mel bins)

    Returns:
        For each group its first row, its first column and its part of `filters`.
    """
    parts = []
    for column in range(0, filters.shape[1], BAND):
        part = filters[:, column : column + BAND]
        rows = np.flatnonzero(part.any(axis=1))
        parts.append((int(rows[0]), column, np.ascontiguousarray(part[rows[0] : rows[-1] + 1])))
    return parts


def _mel(hertz: np.ndarray) -> np.ndarray:
    return np.float32(1127) * np.log(np.float32(1) + hertz / np.float32(700))
