"""Speed and sample rate: a polyphase filter, a windowed sinc, computed as one matrix product.

>>> len(change_speed(np.ones(9000, np.float32), Fraction("0.9")))
10000
"""

from fractions import Fraction
from functools import lru_cache
from math import ceil, gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sertk.frontend.resample import interpolate

# Zero crossings of the sinc on each side, its cutoff relative to the lower Nyquist frequency, and the window: flat within
# 0.01 dB up to 0.91 of it, 80 dB down from 1.01 on.
ZEROS, CUTOFF, BETA = 64, 0.96, 8.0
# Weights of a filter, 16 MB; a larger one is evaluated output by output.
_MOST_WEIGHTS = 1 << 22
# Outputs of one product: the windows that they are computed from take a few megabytes.
_PIECE = 1 << 16


def change_speed(samples: np.ndarray, factor: Fraction | float) -> np.ndarray:
    """Play faster or slower, so that duration, pitch and formants change, as by sox's `speed`.

    Args:
        samples: (samples,) float32
        factor: 1.1 is faster and higher

    Returns:
        (⌈samples / factor⌉,) float32
    """
    factor = Fraction(factor).limit_denominator(10000)
    return change_rate(samples, factor.numerator, factor.denominator)


def change_rate(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """Convert samples to another rate.

    Args:
        samples: (samples,) float32
        old: sample rate in Hz
        new: sample rate to convert to, in Hz

    Returns:
        (⌈samples · new / old⌉,) float32; the first input and the first output are at the same time
    """
    if old == new:
        return samples
    old, new = old // gcd(old, new), new // gcd(old, new)
    # A block of outputs is a product of a window of the input with the weights; more outputs share more of the window.
    times = max(1, round(_taps(old, new) / (4 * old)))
    if (times * old + _taps(old, new)) * times * new > _MOST_WEIGHTS:
        return interpolate(samples, old, new)
    weights = _weights(old, new, times)
    width, step, outputs = len(weights), times * old, times * new
    before = _taps(old, new) // 2
    total = ceil(len(samples) * new / old)
    blocks = ceil(total / outputs)
    padded = np.pad(samples, (before, max(0, (blocks - 1) * step + width - before - len(samples))))
    windows = sliding_window_view(padded, width)[::step]
    result = np.empty((blocks, outputs), np.float32)
    rows = max(1, _PIECE // outputs)
    for first in range(0, blocks, rows):
        # A contiguous copy: overlapping rows are not multiplied by BLAS.
        part = np.ascontiguousarray(windows[first : min(first + rows, blocks)])
        np.matmul(part, weights, out=result[first : first + len(part)])
    return result.reshape(-1)[:total]


def _taps(old: int, new: int) -> int:
    """Number of samples that an output is computed from."""
    return 2 * ceil(ZEROS * old / (min(old, new) * CUTOFF)) + 1


@lru_cache(maxsize=16)
def _weights(old: int, new: int, times: int) -> np.ndarray:
    """Weights (window, outputs) float32 of `times` · new outputs, computed from one window."""
    before = _taps(old, new) // 2
    cutoff = min(old, new) * CUTOFF / old
    places = np.arange(times * new) * (old / new)
    window = times * old + 2 * before + 1
    distance = (np.arange(window)[:, None] - before - places) * cutoff
    inside = np.abs(distance) <= ZEROS
    taper = np.i0(BETA * np.sqrt(np.where(inside, 1 - (distance / ZEROS) ** 2, 0))) / np.i0(BETA)
    return (np.sinc(distance) * taper * inside * cutoff).astype(np.float32)
