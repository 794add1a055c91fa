"""Samples of an utterance, and the reader that decodes them for a line of a script."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import decode, decode_file, one_channel
from sertk.frontend.ffmpeg import decode_ffmpeg
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.frontend.wav import read_wav_of_archive
from sertk.kaldi.script import Entry
from sertk.kaldi.streams import open_input


@dataclass
class Speech:
    """Samples of an utterance, or the reason why it has none.

    Attributes:
        key: key of the utterance
        where: file, line and key, for messages
        samples: (samples,) float32 in the 16-bit range, or None
        rate: sample rate in Hz
        reason: why there are no samples
    """

    key: str
    where: str
    samples: np.ndarray | None = None
    rate: int = 0
    reason: str = ""

    def take(self) -> np.ndarray:
        """Return the samples and drop them here, so that they can be freed early: an hour takes 600 MB."""
        samples, self.samples = self.samples, None
        return samples


Job = Callable[[], list[Speech]]


@dataclass(frozen=True)
class Reader:
    """Decode the entries of a script.

    Args:
        permissive: a failed pipe is the reason of a Speech and no error (`scp,p:`)
        channel: channel to take, from 0; None: every recording must have one channel
    """

    permissive: bool
    channel: int | None

    def one(self, entry: Entry) -> Speech:
        """Decode the recording of one line."""
        if entry.rxfilename.kind == "file":
            return self.guarded(entry.key, entry.where, lambda: self._of_file(entry))
        return self.speech(entry.key, entry.where, lambda: self.content(entry), f"{entry.name} ")

    def several(self, entries: list[Entry]) -> list[Speech]:
        """Decode m4a files with one ffmpeg process; one by one if that fails."""
        try:
            with one_recording():
                decoded = decode_ffmpeg([entry.name for entry in entries])
        except UnfitAudio:
            return [self.one(entry) for entry in entries]
        return [
            self.speech(entry.key, entry.where, lambda d=d: d, f"{entry.name} ") for entry, d in zip(entries, decoded)
        ]

    def speech(self, key: str, where: str, content: Callable[[], tuple[np.ndarray, int]], name: str = "") -> Speech:
        """Turn a recording into Speech.

        Args:
            key: key of the utterance
            where: file, line and key, for messages
            content: returns samples (samples, channels) and their rate
            name: name of the recording, with which a reason begins
        """
        return self.guarded(key, where, lambda: self._chosen(key, where, content, name))

    def guarded(self, key: str, where: str, make: Callable[[], Speech]) -> Speech:
        """Call `make` and turn its UnfitAudio, or with `p` any SertkError, into a Speech with a reason."""
        try:
            return make()
        except UnfitAudio as error:
            return Speech(key, where, reason=str(error))
        except SertkError as error:
            if self.permissive:
                return Speech(key, where, reason=str(error))
            raise SertkError(f"{where}: {error}") from None

    def content(self, entry: Entry) -> tuple[np.ndarray, int]:
        """Decode all channels of a line's recording: (samples, channels), and the rate in Hz."""
        place = entry.rxfilename
        if place.stored:
            with open(place.path, "rb") as file:
                file.seek(place.offset)
                # In an archive other recordings follow.
                data = _in_archive(file) if place.kind == "offset" else file.read()
        else:
            with open_input(place) as stream:
                data = stream.read()
        return decode(data)

    def _of_file(self, entry: Entry) -> Speech:
        with named(f"{entry.name} "), one_recording():
            samples, rate = decode_file(entry.name, lambda samples: one_channel(samples, self.channel))
            return Speech(entry.key, entry.where, samples, rate)

    def _chosen(self, key: str, where: str, content: Callable, name: str) -> Speech:
        with named(name), one_recording():
            samples, rate = content()
            return Speech(key, where, one_channel(samples, self.channel), rate)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Prefix the reason of an UnfitAudio raised inside the block with `name`."""
    try:
        yield
    except UnfitAudio as error:
        raise UnfitAudio(f"{name}{error}") from None


def _in_archive(file: BinaryIO) -> bytes:
    """Read the wav file at an offset in an archive; an error there is that of this entry only."""
    try:
        return read_wav_of_archive(file)
    except SertkError as error:
        raise UnfitAudio(str(error)) from None
