"""Additive noise: the power of speech, noise of a colour, and mixtures at a signal-to-noise ratio."""

import numpy as np

from sertk.datadir.perturb_steps import COLOURS
from sertk.frontend.unfit import UnfitAudio

# Seconds of a frame whose power is measured; frames that are more decibels below the mean are pauses.
FRAME, PAUSE = 0.02, 20.0
# Samples after which synthetic noise repeats, at 16 kHz a minute; it is cyclic, so that the seam is not heard.
PERIOD = 1 << 20
# Below this frequency the power of coloured noise does not rise any more.
_FLAT = 50.0


def power(samples: np.ndarray) -> float:
    """Mean square of (samples,), in double precision."""
    return float(np.einsum("i,i->", samples, samples, dtype=np.float64)) / max(1, len(samples))


def speech_power(samples: np.ndarray, rate: float) -> float:
    """Mean square of the frames that are not pauses.

    A pause is a frame of 20 ms whose power is more than 20 dB below the mean of all.

    Args:
        samples: (samples,)
        rate: sample rate in Hz

    Example:
        >>> tone = np.ones(16000, np.float32)
        >>> speech_power(tone, 16000), speech_power(np.concatenate([tone, 0 * tone]), 16000)
        (1.0, 1.0)
    """
    size = max(1, round(FRAME * rate))
    if len(samples) < size:
        return power(samples)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    powers = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / size
    return float(powers[powers >= powers.mean() / 10 ** (PAUSE / 10)].mean())


def add_noise(samples: np.ndarray, noise: np.ndarray, snr: float, rate: float) -> np.ndarray:
    """Add noise at a signal-to-noise ratio; the speech itself is not changed.

    Args:
        samples: (samples,) float32
        noise: (samples,) float32
        snr: power of the speech without its pauses over that of the noise, in dB
        rate: sample rate in Hz

    Returns:
        (samples,) float32

    Raises:
        UnfitAudio: if the noise is silent.
    """
    noise_power = power(noise)
    if not noise_power:
        raise UnfitAudio("its noise is silent")
    gain = np.sqrt(speech_power(samples, rate) / noise_power / 10 ** (snr / 10))
    return samples + np.float32(gain) * noise


def coloured_noise(count: int, rate: float, colour: str, seed: int) -> np.ndarray:
    """Gaussian noise whose power falls by 0 (white), 3 (pink) or 6 dB (brown) an octave above 50 Hz.

    Args:
        count: number of samples
        rate: sample rate in Hz
        colour: white, pink or brown
        seed: seed of the noise; the same noise for any count up to PERIOD is not promised

    Returns:
        (count,) float32 of power about 1
    """
    from scipy.fft import irfft, next_fast_len, rfft

    period = next_fast_len(min(max(count, 2), PERIOD), real=True)
    noise = np.random.default_rng(seed).standard_normal(period, dtype=np.float32)
    if fall := COLOURS[colour]:
        frequencies = np.maximum(np.arange(period // 2 + 1) * (rate / period), _FLAT)
        gains = (frequencies / _FLAT) ** (-fall / (20 * np.log10(2)))
        gains[0] = 0
        gains /= np.sqrt(np.mean(gains**2))
        noise = irfft(rfft(noise) * gains.astype(np.float32), period)
    return np.resize(noise, count)
