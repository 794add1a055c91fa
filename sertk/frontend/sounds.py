"""Stretches of recordings that are mixed into speech: noise, music, voices, room responses."""

import mmap
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from threading import Lock

import numpy as np

from sertk.datadir.perturb_steps import Sound
from sertk.errors import SertkError
from sertk.frontend.audio import check_range, decode
from sertk.frontend.perturb_rate import change_rate
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.frontend.wav import is_wav, parse_wav
from sertk.kaldi.filenames import parse_rxfilename
from sertk.kaldi.streams import open_input

# Bytes of decoded recordings that are cached. 16-bit wav files are not: only the stretch that is needed is read.
HELD = 256 << 20


class Sounds:
    """Read stretches of recordings, by rxfilename. Thread-safe."""

    def __init__(self) -> None:
        self._decoded: OrderedDict[str, tuple[np.ndarray, int]] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def seconds(self, name: str) -> float:
        """Duration of a recording.

        Raises:
            UnfitAudio: as `stretch`.
        """
        with _named(name):
            samples, rate = self._recording(name)
            return len(samples) / rate

    def whole(self, sound: Sound, rate: int) -> np.ndarray:
        """All samples of a recording or of its part, from `sound.start` on, at a sample rate: (samples,) float32.

        Raises:
            UnfitAudio: as `stretch`.
        """
        with _named(sound.name):
            samples, own_rate = self._part(sound)
            samples = samples[round(sound.start * own_rate) :].astype(np.float32)
            check_range(samples)
            return change_rate(samples, own_rate, rate)

    def stretch(self, sound: Sound, count: int, rate: int) -> np.ndarray:
        """A stretch from `sound.start` on, repeated as often as needed.

        Args:
            sound: the recording
            count: number of samples
            rate: sample rate in Hz, to which it is converted

        Returns:
            (count,) float32, the first channel

        Raises:
            UnfitAudio: if the recording is missing, not audio or damaged, or if its part has no samples; names it.
        """
        with _named(sound.name):
            samples, own_rate = self._part(sound)
            needed, start = ceil(count * own_rate / rate) + 1, round(sound.start * own_rate) % len(samples)
            if start + needed <= len(samples):
                piece = samples[start : start + needed]
            else:
                piece = np.resize(np.roll(samples, -start), needed)
            piece = piece.astype(np.float32)
            check_range(piece)
            return change_rate(piece, own_rate, rate)[:count]

    def _part(self, sound: Sound) -> tuple[np.ndarray, int]:
        samples, rate = self._recording(sound.name)
        if sound.part:
            samples = samples[round(sound.part[0] * rate) : round(sound.part[1] * rate)]
        if not len(samples):
            raise UnfitAudio("has no samples there" if sound.part else "has no samples")
        return samples, rate

    def _recording(self, name: str) -> tuple[np.ndarray, int]:
        """The first channel of a recording, int16 or float32, and its rate; a 16-bit wav file is mapped, not read."""
        place = parse_rxfilename(name)
        with one_recording():
            if place.kind == "file" and (mapped := _map_pcm16(place.path)):
                return mapped
            with self._lock:
                if name in self._decoded:
                    self._decoded.move_to_end(name)
                    return self._decoded[name]
            if place.kind == "offset":
                raise UnfitAudio("is a place in an archive: sounds must be files or commands")
            with open_input(place) as stream:
                content = stream.read()
            samples, rate = decode(content)
            recording = np.ascontiguousarray(samples[:, 0]), rate
            self._keep(name, recording)
            return recording

    def _keep(self, name: str, recording: tuple[np.ndarray, int]) -> None:
        """Cache a decoded recording, and drop the least recently used ones beyond HELD bytes."""
        with self._lock:
            if name not in self._decoded:
                self._decoded[name] = recording
                self._bytes += recording[0].nbytes
            while self._bytes > HELD and len(self._decoded) > 1:
                self._bytes -= self._decoded.popitem(last=False)[1][0].nbytes


def _map_pcm16(path: str | os.PathLike) -> tuple[np.ndarray, int] | None:
    with Path(path).open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise UnfitAudio("is empty")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    wav = parse_wav(content) if is_wav(content) else None
    samples = wav.samples() if wav else None
    return None if samples is None else (samples[:, 0], wav.rate)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of a sound in front of an error; any error of a sound is that of the utterance it is mixed into."""
    try:
        yield
    except SertkError as error:
        raise UnfitAudio(str(error) if str(error).startswith(name) else f"{name} {error}") from None
