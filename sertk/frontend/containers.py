"""Detect truncated audio files by the sizes in their headers.

libsndfile and ffmpeg read a truncated file without an error. Checked here: AIFF and AIFC, RIFX, RF64 and BW64, W64, AU,
CAF, and m4a/mp4. wav.py checks wav; FLAC and NIST give their number of samples, Ogg marks its last page. An mp3 gives
its number of frames only in a Xing or Info frame; without one it is not checked.

Sources: Apple, AIFF 1.3; EBU Tech 3306 (RF64); Sony, Wave64; Apple, Core Audio Format 1.0; ISO/IEC 14496-12, 4.2 (boxes).
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from sertk.frontend.unfit import UnfitAudio
from sertk.frontend.wav import MAX_CHUNKS

# Sizes from here on mean "unknown when the header was written".
_UNKNOWN_32, _UNKNOWN_64 = 0x7FFFF000, 1 << 62
_RIFF64, _WAVE64, _SUN = (b"RF64", b"BW64"), b"riff\x2e\x91\xcf\x11", (b".snd", b"dns.")


def check_whole(file: BinaryIO) -> None:
    """Check that a seekable file is as long as its header says.

    Raises:
        UnfitAudio: if it is truncated.
    """
    if missing := missing_bytes(file):
        raise UnfitAudio(f"is truncated: {missing} of the bytes that its header promises are missing")


def missing_bytes(file: BinaryIO) -> int:
    """Number of bytes by which a seekable file is shorter than its header says."""
    return max(0, stated_end(file) - file.seek(0, io.SEEK_END))


def without_tail(data: bytes) -> bytes:
    """A W64 or AU file without the bytes after its samples, which libsndfile would read as samples."""
    if data[:8] != _WAVE64 and data[:4] not in _SUN:
        return data
    return data[: stated_end(io.BytesIO(data)) or None]


def stated_end(file: BinaryIO) -> int:
    """Offset in bytes at which the samples of a seekable file end by its header; 0 if it does not say."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(40)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        ends = [end for name, _, end in _chunks(file, size, ">4sI") if name == b"SSND" and end < _UNKNOWN_32]
    elif head[:4] == b"RIFX":
        ends = [end for name, _, end in _chunks(file, size, ">4sI") if name == b"data" and end < _UNKNOWN_32]
    elif head[:4] in _RIFF64:
        ends = list(_rf64_end(file, size))
    elif head[:8] == _WAVE64:
        ends = list(_w64_end(file, size))
    elif head[:4] in _SUN and len(head) >= 12:
        start, length = struct.unpack_from(">II" if head[:1] == b"." else "<II", head, 4)
        ends = [start + length] if length < _UNKNOWN_32 else []
    elif head[:4] == b"caff":
        ends = list(_caf_end(file, size))
    elif is_mp4(head):
        ends = list(_box_ends(file, size))
    else:
        ends = []
    return max(ends, default=0)


def is_mp4(data: bytes) -> bool:
    """Whether the content is an m4a, mp4 or QuickTime file, which libsndfile cannot read."""
    return data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def _chunks(file: BinaryIO, size: int, form: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the chunks after a header of 12 bytes; chunks are padded to even lengths."""
    place = 12
    for _ in range(MAX_CHUNKS):
        if place + 8 > size:
            return
        file.seek(place)
        name, length = struct.unpack(form, file.read(8))
        yield name, place + 8, place + 8 + length
        place += 8 + length + length % 2


def _rf64_end(file: BinaryIO, size: int) -> Iterator[int]:
    length = 0
    for name, start, end in _chunks(file, size, "<4sI"):
        if name == b"ds64":
            file.seek(start)
            _, length = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        elif name == b"data":
            if end - start < _UNKNOWN_32:
                yield end
            elif 0 < length < _UNKNOWN_64:
                yield start + length
            return


def _w64_end(file: BinaryIO, size: int) -> Iterator[int]:
    place = 40
    for _ in range(MAX_CHUNKS):
        if place + 24 > size:
            return
        file.seek(place)
        name, length = struct.unpack("<4s12xQ", file.read(24))
        if name == b"data":
            if 24 <= length < _UNKNOWN_64:
                yield place + length
            return
        place += max(24, length + -length % 8)


def _caf_end(file: BinaryIO, size: int) -> Iterator[int]:
    place = 8
    for _ in range(MAX_CHUNKS):
        if place + 12 > size:
            return
        file.seek(place)
        name, length = struct.unpack(">4sQ", file.read(12))
        if name == b"data":
            if length < _UNKNOWN_64:
                yield place + 12 + length
            return
        place += 12 + length


def _box_ends(file: BinaryIO, size: int) -> Iterator[int]:
    """The ends of the top-level boxes; a box of length 0 extends to the end of the file."""
    place = 0
    for _ in range(MAX_CHUNKS):
        if place + 8 > size:
            return
        file.seek(place)
        length, large = struct.unpack(">I4xQ", file.read(16).ljust(16, b"\0"))
        length = large if length == 1 else length
        if length < 8:
            return
        place += length
        yield place
