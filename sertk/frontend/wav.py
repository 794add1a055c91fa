"""The wav files that nearly all recordings are, 16-bit PCM, into samples; other codecs of wav are decoded elsewhere."""

import struct

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.unfit import UnfitAudio, check_header

# A header written before the length was known says 0 or one of the largest numbers (ffmpeg's, sox's, Kaldi's).
UNKNOWN = 0x7FFFF000
PCM, _EXTENSIBLE = 1, 0xFFFE
# More chunks than any writer makes: a file of zeros would be walked over in steps of 8 bytes.
MAX_CHUNKS = 4096
_PIECE = 1 << 24


class Wav:
    """What a wav file's header says: format code, channels, rate (Hz), bits, and the bytes of its samples.

    start: where they begin in the file
    """

    def __init__(self, content):
        self._content = content
        self.form = self.channels = self.rate = self.bits = self.start = 0
        self.data = memoryview(b"")
        self.open_size = False

    @property
    def content(self) -> bytes:
        """The file, with the size of the samples put right where the header left it open."""
        if not self.open_size:
            return self._content
        size = struct.pack("<I", len(self.data))
        return self._content[: self.start - 4] + size + self._content[self.start :]

    @property
    def is_pcm16(self) -> bool:
        """Whether the samples are 16-bit integers, as nearly all are."""
        return self.form == PCM and self.bits == 16

    def samples(self) -> np.ndarray | None:
        """The samples of 16-bit PCM as they lie in the file, int16 (samples, channels); None where it is another codec."""
        if not self.is_pcm16:
            return None
        count = len(self.data) // (2 * self.channels)
        return np.frombuffer(self.data, "<i2", count * self.channels).reshape(-1, self.channels)


def is_wav(data: bytes) -> bool:
    """Whether the content is a wav file with little-endian numbers and 32-bit sizes."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def parse_wav(data: bytes) -> Wav:
    """Walk over the chunks of a wav file.

    Raises:
        UnfitAudio: where the samples are fewer than the header says, and for numbers that no recorder writes.
    """
    wav, position, seen = Wav(data), 12, False
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
            seen = True
        elif name == b"data":
            if not seen:
                raise UnfitAudio("is a damaged wav file (samples before their format)")
            left = len(data) - position
            if size >= UNKNOWN or (size == 0 and not _is_empty(data, position)):
                size, wav.open_size = left, True
            if size > left:
                raise UnfitAudio(f"is truncated: {left} bytes of samples where its header says {size}")
            wav.start, wav.data = position, memoryview(data)[position : position + size]
            return wav
        position += size + size % 2
    raise UnfitAudio("has a header and no samples" if seen else "is a damaged wav file")


def read_wav_of_archive(stream) -> bytes:
    """The one wav file that `stream` stands at in an archive of wav files (Kaldi's wav-copy): its header has the size."""
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise SertkError("is not a wav file: an archive of recordings holds wav files alone")
    size = struct.unpack("<I", head[4:8])[0]
    if size == 0 or size >= UNKNOWN:
        raise SertkError("is a wav file whose header does not say how long it is: it cannot stand in an archive")
    body = _read(stream, size - 4)
    if len(body) < size - 4:
        raise SertkError(f"the archive ends within the recording ({size - 4 - len(body)} bytes are missing)")
    return head + body


def _read(stream, size: int) -> bytes:
    """`size` bytes, or what there is: no more is allocated than comes, whatever a header says."""
    pieces = []
    while size and (piece := stream.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _is_empty(data: bytes, position: int) -> bool:
    """Whether a size of 0 means no samples, and not that the writer did not know it.

    Args:
        data: the file
        position: where its samples would begin
    """
    (size,) = struct.unpack_from("<I", data, 4)
    if 0 < size < UNKNOWN and size + 8 <= position + 1:
        return True  # the file ends here by its own count; what stands behind is of others
    return _are_chunks(data, position)


def _are_chunks(data: bytes, position: int) -> bool:
    """Whether the rest of the file is chunks, one after the other to its end."""
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
