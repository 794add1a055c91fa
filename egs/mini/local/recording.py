"""Recording conditions of simulated speech: room, microphone, noise, and the 16-bit wav file."""

import wave
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from synthesiser import RATE


@dataclass(frozen=True)
class Channel:
    """Recording conditions of a dialog or a video."""

    tilt: float  # of a one-zero filter: above 0 dull, below 0 thin
    echo: float  # amplitude of a reflection
    delay: int  # of the reflection, in samples
    noise: float  # dB of the floor against full scale


def draw_channel(rng: np.random.Generator, noise: tuple[float, float]) -> Channel:
    return Channel(rng.uniform(-0.4, 0.4), rng.uniform(0, 0.25), int(rng.integers(80, 800)), rng.uniform(*noise))


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends only on the seed and the names, not on earlier draws."""
    return np.random.default_rng([seed, zlib.crc32("/".join(names).encode())])


def write_recording(path: Path, rng: np.random.Generator, speech: np.ndarray, channel: Channel):
    """Write `speech` (samples,), floats in ±1, through `channel` as a 16 kHz 16-bit mono wav file."""
    heard = lfilter([1, channel.tilt], [1], speech)
    heard[channel.delay :] += channel.echo * speech[: -channel.delay]
    # Half white noise (the microphone), half low-passed at 300 Hz (the room).
    white = rng.normal(0, 10 ** (channel.noise / 20), len(heard))
    heard += 0.7 * white + 3.0 * lfilter([0.11], [1, -0.89], white)
    samples = np.rint(np.clip(heard, -1, 1) * 32767).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
