"""Sample rate and length of an audio file from its header, without decoding it."""

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from sertk.errors import SertkError
from sertk.frontend.containers import check_whole, is_mp4
from sertk.frontend.identify import refusal
from sertk.frontend.unfit import UnfitAudio, check_header, one_recording
from sertk.frontend.wav import is_wav, parse_wav


@dataclass(frozen=True)
class AudioHeader:
    """What a header says.

    Args:
        rate: sample rate in Hz; 0 if unknown.
        seconds: length; None if unknown (m4a, and mp3, whose headers are often wrong).
    """

    rate: int
    seconds: float | None


def read_header(path: str | os.PathLike) -> AudioHeader:
    """Read the header of an audio file.

    A file that passes may still be damaged: only decoding shows that.

    Raises:
        SertkError: the file is missing, empty, truncated or not audio; the message begins with its name.
    """
    path = Path(path)
    try:
        with one_recording():
            return _read(path)
    except UnfitAudio as error:
        raise SertkError(f"{path}: {error}") from None


def _read(path: Path) -> AudioHeader:
    with open(path, "rb") as file:
        head = file.read(1 << 12)
        if not head:
            raise UnfitAudio("is empty")
        if is_mp4(head):
            check_whole(file)
            return AudioHeader(0, None)
        if reason := refusal(head):
            raise UnfitAudio(reason)
        if is_wav(head):
            wav = parse_wav(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            if wav.is_pcm16:
                return _known(wav.rate, len(wav.data) // (2 * wav.channels))
        else:
            check_whole(file)
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise UnfitAudio(f"cannot be read as audio ({error})") from None
    check_header(info.samplerate, info.channels, info.format)
    header = _known(info.samplerate, info.frames)
    return AudioHeader(header.rate, None) if info.format == "MP3" else header


def _known(rate: int, frames: int) -> AudioHeader:
    if not frames:
        raise UnfitAudio("has a header and no samples")
    return AudioHeader(rate, frames / rate)
