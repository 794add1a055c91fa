"""Reverberation: convolution with a room response, recorded, simulated, or an exponential tail."""

import numpy as np

from sertk.frontend.unfit import UnfitAudio

# Seconds between the direct sound and the tail of a synthetic room: a reflection that comes 0.9 m later.
GAP = 0.0025
# Samples that are convolved at a time.
_BLOCK = 1 << 15


def convolve(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve by FFT, block by block (overlap-add).

    Args:
        samples: (samples,) float32
        response: (taps,) float32

    Returns:
        (samples + taps - 1,) float32
    """
    from scipy.fft import irfft, next_fast_len, rfft

    taps = len(response)
    block = min(max(_BLOCK, 3 * taps), len(samples))
    size = next_fast_len(block + taps - 1, real=True)
    spectrum = rfft(response, size)
    result = np.zeros(len(samples) + taps - 1, np.float32)
    for first in range(0, len(samples), block):
        piece = irfft(rfft(samples[first : first + block], size) * spectrum, size)
        part = result[first : first + block + taps - 1]
        part += piece[: len(part)]
    return result


def reverberate(samples: np.ndarray, response: np.ndarray, direct: int | None = None) -> np.ndarray:
    """Convolve with a room response; length, energy and the time of the direct sound do not change.

    Args:
        samples: (samples,) float32
        response: (taps,)
        direct: its sample that is the direct sound; None: the largest

    Returns:
        (samples,) float32

    Raises:
        UnfitAudio: if the response is silent.
    """
    if direct is None:
        direct = int(np.argmax(np.abs(response)))
    if not response[direct]:
        raise UnfitAudio("its room response is silent")
    result = convolve(samples, np.ascontiguousarray(response, np.float32))[direct : direct + len(samples)]
    energies = [np.einsum("i,i->", signal, signal, dtype=np.float64) for signal in (samples, result)]
    return result * np.float32(np.sqrt(energies[0] / max(energies[1], 1e-30)))


def synthetic_response(rate: float, rt60: float, drr: float, seed: int) -> np.ndarray:
    """An impulse, and after 2.5 ms Gaussian noise that falls exponentially.

    Late reverberation behaves like this (Polack 1988); early reflections, and the faster decay at high frequencies, are
    left out.

    Args:
        rate: sample rate in Hz
        rt60: seconds in which the tail falls by 60 dB; there it ends
        drr: energy of the impulse over that of the tail, in dB
        seed: seed of the noise

    Returns:
        (taps,) float32; the impulse is the first sample, 1
    """
    gap = max(1, round(GAP * rate))
    count = max(1, round(rt60 * rate) - gap)
    times = (gap + np.arange(count)) / rate
    tail = np.random.default_rng(seed).standard_normal(count) * 10 ** (-3 * times / rt60)
    tail *= np.sqrt(10 ** (-drr / 10) / np.sum(tail**2))
    return np.concatenate([[1], np.zeros(gap - 1), tail]).astype(np.float32)
