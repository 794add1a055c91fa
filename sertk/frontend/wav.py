"""Parse wav files and read their 16-bit PCM samples; libsndfile decodes the other codecs."""

import struct
from typing import BinaryIO

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.unfit import UnfitAudio, check_header

# A header written before the length was known has 0 or a number from here on (ffmpeg, sox, Kaldi).
UNKNOWN = 0x7FFFF000
PCM, _EXTENSIBLE = 1, 0xFFFE
# More chunks than any file has: a file of zeros would be parsed in steps of 8 bytes.
MAX_CHUNKS = 4096
_PIECE = 1 << 24


class Wav:
    """Header fields of a wav file, and the bytes of its samples.

    Args:
        content: the whole file

    Attributes:
        form: format code
        channels: number of channels
        rate: sample rate in Hz
        bits: bits per sample
        start: offset of the samples in the file, in bytes
        data: the bytes of the samples
        open_size: the header does not say how many samples there are
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.form = self.channels = self.rate = self.bits = self.start = 0
        self.data = memoryview(b"")
        self.open_size = False

    @property
    def content(self) -> bytes:
        """The file; a size that the header left open is filled in."""
        if not self.open_size:
            return self._content
        size = struct.pack("<I", len(self.data))
        return self._content[: self.start - 4] + size + self._content[self.start :]

    @property
    def is_pcm16(self) -> bool:
        """Whether the samples are 16-bit PCM."""
        return self.form == PCM and self.bits == 16

    def samples(self) -> np.ndarray | None:
        """A view of 16-bit PCM samples, (samples, channels) int16; None for another codec."""
        if not self.is_pcm16:
            return None
        count = len(self.data) // (2 * self.channels)
        return np.frombuffer(self.data, "<i2", count * self.channels).reshape(-1, self.channels)


def is_wav(data: bytes) -> bool:
    """Whether the content is a RIFF wav file (little-endian, 32-bit sizes)."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def parse_wav(data: bytes) -> Wav:
    """Parse the chunks of a wav file.

    Args:
        data: the whole file

    Returns:
        The header's fields and the samples' bytes.

    Raises:
        UnfitAudio: if there are fewer samples than the header says, or if its fields are out of bounds.
    """
    wav, position, has_format = Wav(data), 12, False
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            break
        name, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if name == b"fmt " and size >= 16 and position + 16 <= len(data):
            wav.form, wav.channels, wav.rate, _, _, wav.bits = struct.unpack_from("<HHIIHH", data, position)
            if wav.form == _EXTENSIBLE and size >= 26 and position + 26 <= len(data):
                wav.form = struct.unpack_from("<H", data, position + 24)[0]
            check_header(wav.rate, wav.channels, "wav")
            has_format = True
        elif name == b"data":
            if not has_format:
                raise UnfitAudio("is a damaged wav file (samples before their format)")
            left = len(data) - position
            if size >= UNKNOWN or (size == 0 and not _is_empty(data, position)):
                size, wav.open_size = left, True
            if size > left:
                raise UnfitAudio(f"is truncated: {left} bytes of samples where its header says {size}")
            wav.start, wav.data = position, memoryview(data)[position : position + size]
            return wav
        position += size + size % 2
    raise UnfitAudio("has a header and no samples" if has_format else "is a damaged wav file")


def read_wav_of_archive(stream: BinaryIO) -> bytes:
    """Read the wav file at the current position of an archive (of Kaldi's wav-copy), as long as its header says.

    Args:
        stream: the archive, positioned at the wav file

    Returns:
        The whole wav file.

    Raises:
        SertkError: if it is not a wav file, if its header does not give its length, or if the archive ends within it.
    """
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise SertkError("is not a wav file: an archive of recordings must hold wav files only")
    size = struct.unpack("<I", head[4:8])[0]
    if size == 0 or size >= UNKNOWN:
        raise SertkError("is a wav file whose header does not give its length, as it must in an archive")
    body = _read(stream, size - 4)
    if len(body) < size - 4:
        raise SertkError(f"the archive ends within the recording ({size - 4 - len(body)} bytes are missing)")
    return head + body


def _read(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes or up to the end, in pieces: a damaged header may ask for any number."""
    pieces = []
    while size and (piece := stream.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _is_empty(data: bytes, position: int) -> bool:
    """Whether a size of 0 means that there are no samples, and not that the length was unknown.

    Args:
        data: the whole file
        position: where its samples would begin
    """
    (size,) = struct.unpack_from("<I", data, 4)
    if 0 < size < UNKNOWN and size + 8 <= position + 1:
        return True  # by the RIFF size the file ends here; bytes after it are not samples
    return _are_chunks(data, position)


def _are_chunks(data: bytes, position: int) -> bool:
    """Whether the rest of the file is a sequence of whole chunks."""
    for _ in range(MAX_CHUNKS):
        if len(data) - position <= 1:
            return True
        if position + 8 > len(data):
            return False
        name, size = struct.unpack_from("<4sI", data, position)
        if not all(32 <= letter < 127 for letter in name):
            return False
        position += 8 + size + size % 2
        if position > len(data) + 1:
            return False
    return False
