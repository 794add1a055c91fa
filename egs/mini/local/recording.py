"""What stands between a speaker's mouth and a corpus: room, microphone, noise, and the 16-bit file."""

import wave
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from synthesiser import RATE


@dataclass(frozen=True)
class Channel:
    """Where a dialog or a video was recorded."""

    tilt: float  # of a one-zero filter: above 0 dull, below 0 thin
    echo: float  # amplitude of a reflection
    delay: int  # samples until it comes
    noise: float  # dB of the floor against full scale


def draw_channel(rng: np.random.Generator, noise: tuple[float, float]) -> Channel:
    return Channel(rng.uniform(-0.4, 0.4), rng.uniform(0, 0.25), int(rng.integers(80, 800)), rng.uniform(*noise))


def generator(seed: int, *names: str) -> np.random.Generator:
    """The random numbers of one thing by its name, whatever else is drawn before it."""
    return np.random.default_rng([seed, zlib.crc32("/".join(names).encode())])


def write_recording(path: Path, rng: np.random.Generator, speech: np.ndarray, channel: Channel):
    """`speech` (samples,) float in ±1 as heard over `channel`, a 16 kHz 16-bit mono wav file."""
    heard = lfilter([1, channel.tilt], [1], speech)
    heard[channel.delay :] += channel.echo * speech[: -channel.delay]
    # Low-passed at 300 Hz and white, half and half: the hum of a room and a microphone's own noise.
    white = rng.normal(0, 10 ** (channel.noise / 20), len(heard))
    heard += 0.7 * white + 3.0 * lfilter([0.11], [1, -0.89], white)
    samples = np.rint(np.clip(heard, -1, 1) * 32767).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
