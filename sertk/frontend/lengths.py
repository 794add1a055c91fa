"""Rewrite lengths in headers that make libsndfile stop before the end of a file, or fail there.

A FLAC stream written to a pipe has no number of samples; an mp3 without a Xing frame has none either, and mp3 files that
were joined with `cat` have that of the first one.

Sources: RFC 9639, sections 8.2 and 9.1 (FLAC); the Xing header of LAME; id3.org, ID3v2.4.0 section 3.1.
"""

import re

_FLAC_TOTAL = (1 << 36) - 1
# Bytes that a frame takes at most, and places in them that may be its beginning: some 2^-15 of all.
_MAX_FRAME, _MAX_CANDIDATES = 1 << 21, 200
_SMALLEST_MP3_FRAME = 24


def corrected_length(data: bytes) -> bytes:
    """The content of an audio file, with a header by which libsndfile reads all of it."""
    if data[:4] == b"fLaC":
        return _with_flac_total(data)
    if data[:3] == b"ID3" or data[:1] == b"\xff":
        return _with_mp3_count(data)
    return data


def counts_mp3_frames(data: bytes) -> bool:
    """Whether an mp3 gives its number of frames: in a Xing or Info frame at its beginning."""
    place = _xing(data, _frames_start(data, 0))
    return place > 0 and bool(data[place + 7] & 1)


def _with_flac_total(data: bytes) -> bytes:
    """A FLAC stream, its number of samples filled in if the header has 0, "unknown"."""
    if len(data) < 42 or data[4] & 0x7F:
        return data
    stream_info = int.from_bytes(data[18:26], "big")  # 20 bits: rate, 3: channels, 5: bits per sample, 36: samples
    if stream_info & _FLAC_TOTAL or not 0 < (total := _flac_end(data)) <= _FLAC_TOTAL:
        return data
    return data[:18] + (stream_info | total).to_bytes(8, "big") + data[26:]


def _flac_end(data: bytes) -> int:
    """Number of samples up to the end of the last frame of a FLAC stream; 0 if it has no frame."""
    window = data[max(42, len(data) - _MAX_FRAME) :]
    candidates = [match.start() for match in re.finditer(rb"\xff[\xf8\xf9]", window)]
    for place in reversed(candidates[-_MAX_CANDIDATES:]):
        head = window[place : place + 17]
        if len(head) < 7:
            continue
        size_code, rate_code = head[2] >> 4, head[2] & 15
        # The number is coded like a character of UTF-8, in up to 7 bytes.
        ones = 8 - (head[4] ^ 0xFF).bit_length()
        number = head[4] & 0x7F >> ones
        end = 5 + max(0, ones - 1)
        for byte in head[5:end]:
            number = number << 6 | byte & 0x3F
        size = 192 if size_code == 1 else 576 << size_code - 2 if 2 <= size_code < 6 else 1 << size_code
        if size_code in (6, 7):
            start, end = end, end + size_code - 5
            size = int.from_bytes(head[start:end], "big") + 1
        end += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
        if not size_code or end >= len(head) or _crc(head[:end], 8, 0x07) != head[end]:
            continue
        # Eight bits are right by chance in one of some hundred files.
        if _crc(window[place:-2], 16, 0x8005) == int.from_bytes(window[-2:], "big"):
            # Bit 0: whether frames give the number of their first sample, or count frames of one size.
            return size + (number if head[1] & 1 else number * int.from_bytes(data[8:10], "big"))
    return 0


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    """Checksum of `bits` bits, as in FLAC: highest bit first, from 0."""
    crc, mask = 0, (1 << bits) - 1
    for byte in data:
        crc ^= byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc >> bits - 1 else 0)) & mask
    return crc


def _with_mp3_count(data: bytes) -> bytes:
    """An mp3 with a Xing frame in front that counts more frames than it can have, unless its own counts all of them.

    Without a count libsndfile estimates it from the first frame's bitrate, and reads no further: four of sixteen
    seconds of one with a variable bitrate.
    """
    start = _frames_start(data, 0)
    head = data[start : start + 4]
    layer_3 = len(head) == 4 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
    if not layer_3 or head[1] & 0x18 == 0x08 or head[2] & 0x0C == 0x0C:
        return data
    place = _xing(data, start)
    if place and data[place + 7] & 1 and not _more_behind(data, start, place):
        return data
    if place:
        data = data[:place] + bytes(4) + data[place + 4 :]
    version_1, mono = head[1] & 0x08, head[3] >> 6 == 3
    rate = ((44100, 48000, 32000) if version_1 else (22050, 24000, 16000))[head[2] >> 2 & 3]
    if not head[1] & 0x10:  # version 2.5
        rate //= 2
    # At the highest bitrate, without padding or checksum: room for the tag.
    frame = bytearray(144 * 320000 // rate if version_1 else 72 * 160000 // rate)
    frame[:4] = bytes((0xFF, head[1] | 1, 0xE0 | head[2] & 0x0C, head[3]))
    side = (17 if mono else 32) if version_1 else (9 if mono else 17)
    tag = b"Xing" + (1).to_bytes(4, "big") + (len(data) // _SMALLEST_MP3_FRAME + 1).to_bytes(4, "big")
    frame[4 + side : 4 + side + len(tag)] = tag
    return bytes(frame) + data[start:]


def _more_behind(data: bytes, start: int, xing: int) -> bool:
    """Whether frames follow those that the Xing tag of an mp3 counts, as in files joined with `cat`."""
    if not data[xing + 7] & 2:
        return False
    end = start + int.from_bytes(data[xing + 12 : xing + 16], "big")
    # Frames begin with the version, layer and protection of the first one; tags at the end of a file do not.
    return end > xing and data[_frames_start(data, end) :][:2] == data[start : start + 2]


def _frames_start(data: bytes, start: int) -> int:
    """Offset of the mp3 frames from `start` on: after an ID3v2 tag if there is one."""
    tag = data[start : start + 10]
    if tag[:3] != b"ID3" or len(tag) < 10:
        return start
    return start + 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _xing(data: bytes, start: int) -> int:
    """Offset of the Xing or Info tag in the mp3 frame at `start`; 0 if there is none."""
    frame = data[start : start + 64]
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    return start + place if place > 0 and len(frame) >= place + 8 else 0
