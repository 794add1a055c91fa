"""The channel: a telephone's band, G.711, level and clipping. Samples have the 16-bit range."""

from functools import lru_cache

import numpy as np

from sertk.frontend.perturb_rate import change_rate
from sertk.frontend.perturb_room import convolve
from sertk.frontend.unfit import UnfitAudio

TELEPHONE_RATE = 8000
# Seconds of the band pass on each side of a sample; its edges are 100 Hz wide.
_REACH = 0.016


def band_pass(samples: np.ndarray, rate: float, low: float, high: float) -> np.ndarray:
    """Keep a band of frequencies; a linear-phase filter without delay, 6 dB down at the edges.

    Args:
        samples: (samples,) float32
        rate: sample rate in Hz
        low: lower edge in Hz
        high: upper edge in Hz; above half the rate it has no effect

    Returns:
        (samples,) float32

    Raises:
        UnfitAudio: if the band is above the recording's frequencies.
    """
    if low >= rate / 2:
        raise UnfitAudio(f"has a sample rate of {rate:g} Hz: nothing is left from {low:g} Hz on")
    taps = _band_taps(rate, low, min(high, rate / 2))
    return convolve(samples, taps)[len(taps) // 2 :][: len(samples)]


@lru_cache(maxsize=16)
def _band_taps(rate: float, low: float, high: float) -> np.ndarray:
    reach = round(_REACH * rate)
    times = np.arange(-reach, reach + 1) / rate
    ideal = 2 * high * np.sinc(2 * high * times) - 2 * low * np.sinc(2 * low * times)
    return (ideal / rate * np.hamming(len(times))).astype(np.float32)


def g711(samples: np.ndarray, rate: int, law: str) -> np.ndarray:
    """Encode and decode by G.711: 8 kHz, 8 bits a sample.

    Args:
        samples: (samples,) float32 in the 16-bit range; beyond it they are clipped
        rate: sample rate in Hz; above 8 kHz samples are converted to 8 kHz and back
        law: mulaw or alaw

    Returns:
        (samples,) float32
    """
    narrow = change_rate(samples, rate, TELEPHONE_RATE) if rate > TELEPHONE_RATE else samples
    codes = np.clip(np.rint(narrow), -32768, 32767).astype(np.int16)
    decoded = companded(law)[codes.astype(np.int32) + 32768]
    return change_rate(decoded, TELEPHONE_RATE, rate)[: len(samples)] if rate > TELEPHONE_RATE else decoded


@lru_cache(maxsize=2)
def companded(law: str) -> np.ndarray:
    """What every 16-bit sample becomes by G.711, (65536,) float32: that of sample s is at 32768 + s.

    The mu-law has 14 bits and the A-law 13, of which the lowest two or three of 16 bits are left out. Source: ITU-T G.711,
    tables 1 and 2.
    """
    samples = np.arange(-32768, 32768)
    size = np.abs(samples)
    if law == "mulaw":
        biased = np.minimum(size, 32635) + 132
        step = 1 << (np.frexp(biased)[1] - 5)
        decoded = biased // step * step + step // 2 - 132
    else:
        # Negative samples are one's complements: -1 to -16 are the lowest step, as 0 to 15 are.
        size = np.where(samples < 0, -1 - samples, samples)
        step = 1 << np.maximum(np.frexp(size)[1] - 5, 4)
        decoded = size // step * step + step // 2
    return (np.where(samples < 0, -1, 1) * decoded).astype(np.float32)


def gain(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Change the level of (samples,) by some decibels."""
    return samples * np.float32(10 ** (decibels / 20))


def clip(samples: np.ndarray, percent: float) -> np.ndarray:
    """Clip the loudest samples, so that this percentage of all has the largest value.

    Args:
        samples: (samples,) float32
        percent: of the samples

    Returns:
        (samples,) float32
    """
    most = np.quantile(np.abs(samples), 1 - percent / 100)
    return np.clip(samples, -most, most)
