"""Stretches of recordings: a whole one, windows along time, or windows of a stream while it comes in.

>>> list(first for first, _ in windows([np.zeros(10)], 4, 2))
[0, 2, 4, 6]
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import SCALE

# Seconds of a frame whose level is measured, and the part of the frames that must be louder where there is speech: a word.
FRAME, SPEECH = 0.025, 0.1
# Added to the power, -120 dBFS: the logarithm of digital silence.
_FLOOR = 1e-12
_BYTES = 1 << 16


@dataclass(eq=False)
class Stretch:
    """Part of a recording.

    Args:
        file: its name.
        start: seconds from the recording's beginning.
        end: likewise.
        samples: (samples,) float32 in the 16-bit range, None once they are taken.
        rate: samples a second.
        windowed: a window, and not the whole recording.
    """

    file: str
    start: float
    end: float
    samples: np.ndarray | None
    rate: float
    windowed: bool = False

    def __str__(self) -> str:
        return f"{self.file} from {self.start:.2f} to {self.end:.2f} s" if self.windowed else self.file

    def take(self) -> np.ndarray:
        """The samples, which are not held any longer."""
        samples, self.samples = self.samples, None
        return samples


def stretches(
    file: str, blocks: Iterable[np.ndarray], rate: float, window: float | None = None, hop: float | None = None
) -> Iterator[Stretch]:
    """A recording as one stretch, or in windows.

    Args:
        file: its name.
        blocks: its samples, in one block or as they come in: (samples,) float32.
        rate: samples a second.
        window: seconds of a window; None: one stretch.
        hop: seconds from one window to the next; None: as long as a window.

    Yields:
        the last window ends where the recording does, and a recording shorter than a window is one.
    """
    if window is None:
        yield _whole(file, blocks, rate)
        return
    size, step = (max(1, round(seconds * rate)) for seconds in (window, hop or window))
    for first, samples in windows(blocks, size, step):
        yield Stretch(file, first / rate, (first + len(samples)) / rate, samples, rate, windowed=True)


def _whole(file: str, blocks: Iterable[np.ndarray], rate: float) -> Stretch:
    # In a function of its own: a generator would hold the samples after they were taken.
    parts = list(blocks)
    samples = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.float32), *parts])
    return Stretch(file, 0.0, len(samples) / rate, samples, rate)


def windows(blocks: Iterable[np.ndarray], size: int, step: int) -> Iterator[tuple[int, np.ndarray]]:
    """Windows of samples as soon as they are complete, and at the end one with the last `size` samples.

    Args:
        blocks: (samples,) each.
        size: samples of a window.
        step: samples from one window to the next, at most `size`.

    Yields:
        (first sample, (size,)); (0, all samples) where there are fewer.
    """
    held, start, wanted = np.empty(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, block]) if len(held) else block
        while start + len(held) >= wanted + size:
            held, start = held[wanted - start :], wanted
            yield start, held[:size]
            wanted += step
    if not wanted and len(held):
        yield 0, held
    elif wanted and len(held) > size:
        yield start + len(held) - size, held[-size:]


def pcm_blocks(stream: BufferedIOBase) -> Iterator[np.ndarray]:
    """Samples of raw 16-bit PCM, little-endian, one channel, as soon as they come: (samples,) float32.

    Raises:
        SertkError: for a file with a header.
    """
    rest, begun = b"", False
    while data := stream.read1(_BYTES):
        data = rest + data
        if not begun and len(data) >= 4:
            begun = True
            if data[:4] in (b"RIFF", b"fLaC", b"OggS"):
                raise SertkError("-: standard input is an audio file with a header: leave --rate out")
        whole = len(data) // 2 * 2
        rest = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").astype(np.float32)


def level(samples: np.ndarray, rate: float) -> float:
    """The level in dBFS that a tenth of the frames reach, without the samples' mean; a full-scale sine has -3.

    >>> round(level(32768 * np.sin(np.arange(16000)), 16000), 1)
    -3.0
    """
    size = max(1, min(round(FRAME * rate), len(samples)))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    # Power about the mean of all, from sums: no copy of the samples.
    mean = samples.mean(dtype=np.float64)
    sums, squares = np.einsum("ij->i", frames), np.einsum("ij,ij->i", frames, frames)
    power = squares / size - 2 * mean * sums / size + mean**2
    power = np.maximum(power, 0) / SCALE**2 + _FLOOR
    return float(10 * np.log10(np.quantile(power, 1 - SPEECH, method="higher")))
