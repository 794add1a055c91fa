"""Decode audio files: wav, flac, ogg, mp3, sph, aiff, au, caf through libsndfile, m4a through ffmpeg.

Samples have the range of 16-bit integers in every container, as in Kaldi: a recording has the same features as wav and
as flac. Header fields are checked against bounds before anything is computed or allocated from them.
"""

import io
import mmap
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.containers import check_whole, is_mp4, without_tail
from sertk.frontend.ffmpeg import decode_ffmpeg
from sertk.frontend.identify import refusal, unread_codec, unread_letters
from sertk.frontend.lengths import corrected_length, counts_mp3_frames
from sertk.frontend.unfit import MAX_VALUES, UnfitAudio, check_header, one_recording
from sertk.frontend.wav import is_wav, parse_wav

if TYPE_CHECKING:
    import soundfile

SCALE = 32768
# Samples times channels that are decoded at a time.
_PIECE = 1 << 22
# In the 16-bit range; the power of frames of samples up to 1e16 is finite in float32.
_LARGEST = 1e12
# Bytes. A larger file is read in pieces if it is 16-bit PCM.
_LARGE_FILE = 1 << 25


def read_audio(source: str | os.PathLike | bytes | BinaryIO, channel: int | None = None) -> tuple[np.ndarray, int]:
    """Read the samples of one recording and their sample rate.

    Args:
        source: path, content or binary stream
        channel: channel to take, from 0; None: the recording must have one channel

    Returns:
        Samples, (samples,) float32 in the 16-bit range, and their rate in Hz.

    Raises:
        UnfitAudio: if the recording is missing, truncated, empty or not audio, has NaN or infinite samples, or has
            several channels and `channel` is None.
    """
    with one_recording():
        if hasattr(source, "read"):
            source = source.read()
        elif not isinstance(source, bytes):
            with open(source, "rb") as file:
                source = file.read()
        samples, rate = decode(source)
        return one_channel(samples, channel), rate


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """Decode all channels of an audio file's content.

    Args:
        data: the whole file

    Returns:
        Samples, (samples, channels) in the 16-bit range, int16 for 16-bit PCM, else float32; and their rate in Hz.

    Raises:
        UnfitAudio: if the content is truncated, empty or not audio.
        SertkError: if soundfile or ffmpeg is missing.
    """
    if not data:
        raise UnfitAudio("is empty")
    if is_mp4(data):
        return decode_ffmpeg([data])[0]
    if reason := refusal(data):
        raise UnfitAudio(reason)
    wav = parse_wav(data) if is_wav(data) else None
    # 16-bit PCM is by far the most common case, and ten times faster without libsndfile.
    samples = wav.samples() if wav else None
    if samples is not None:
        rate = wav.rate
    elif wav and not len(wav.data):
        raise UnfitAudio("has a header and no samples")
    else:
        samples, rate = _decode_sndfile(wav.content if wav else data, wav.form if wav else None)
    if not len(samples):
        raise UnfitAudio("has a header and no samples")
    return samples, rate


def decode_file(path: str | os.PathLike, pick: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, int]:
    """Decode an audio file and reduce its channels to one.

    Args:
        path: the audio file
        pick: (samples, channels) in the 16-bit range -> (samples,) float32; called on each piece of a large file

    Returns:
        Samples, (samples,) float32, and their rate in Hz.

    Raises:
        UnfitAudio: if the file is truncated, empty or not audio.
        OSError: if it cannot be opened.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _LARGE_FILE and (picked := _pick_pcm16(file, pick)):
            return picked
        samples, rate = decode(file.read())
    return pick(samples), rate


def _pick_pcm16(file: BinaryIO, pick: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, int] | None:
    """As decode_file, but read in pieces; None if the file is not wav with 16-bit PCM."""
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if not is_wav(content):
        return None
    wav = parse_wav(content)
    count = len(wav.data) // (2 * wav.channels)
    if not wav.is_pcm16 or not count:
        return None
    file.seek(wav.start)
    picked, size = np.empty(count, np.float32), max(1, _PIECE // wav.channels)
    for first in range(0, count, size):
        frames = min(size, count - first)
        piece = np.frombuffer(file.read(2 * wav.channels * frames), "<i2")
        picked[first : first + frames] = pick(piece.reshape(frames, wav.channels))
    return picked, wav.rate


def one_channel(samples: np.ndarray, channel: int | None) -> np.ndarray:
    """Take one channel as float32 and check that its samples are finite, and small enough to be squared and summed.

    Args:
        samples: (samples, channels)
        channel: from 0; None: there must be one channel

    Returns:
        (samples,) float32

    Raises:
        UnfitAudio: if there is no such channel, if there are several and `channel` is None, or if a sample is NaN,
            infinite or above 1e12.
    """
    channels = samples.shape[1]
    if channel is None and channels > 1:
        raise UnfitAudio(f"has {channels} channels: choose one with --channel (from 0)")
    if channel is not None and channel >= channels:
        raise UnfitAudio(f"has no channel {channel} (channels: {channels}, counted from 0)")
    samples = samples[:, channel or 0]
    if samples.dtype == np.int16:
        return samples.astype(np.float32)
    samples = np.ascontiguousarray(samples)
    check_range(samples)
    return samples


def check_range(samples: np.ndarray) -> None:
    """Refuse samples of which no power can be computed in float32.

    Args:
        samples: any shape, in the 16-bit range

    Raises:
        UnfitAudio: if one is NaN, infinite or above 1e12, as in a file of floats that is read in the wrong byte order.
    """
    if not samples.size or max(-samples.min(), samples.max()) <= _LARGEST:  # NaN compares as false
        return
    samples = samples.ravel()
    if not np.isfinite(samples).all():
        index = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise UnfitAudio(f"has NaN or infinite samples (sample {index} is {samples[index]})")
    raise UnfitAudio(
        f"has samples up to {np.abs(samples).max() / SCALE:.0e}, where full scale is 1: damaged, or of another byte order"
    )


def check_sound(samples: np.ndarray) -> None:
    """Refuse a silent recording: one whose samples are all the same 16-bit integer.

    Args:
        samples: (samples,) in the 16-bit range

    Raises:
        UnfitAudio: if it is silent.
    """
    # Few recordings begin and end with the same sample; only those are searched.
    if not len(samples) or abs(samples[0] - samples[-1]) >= 1:
        return
    low, high = samples.min(), samples.max()
    if high - low < 1:
        value = "0" if low <= 0 <= high else f"{samples[0]:g}"
        raise UnfitAudio(f"has no sound: all of its {len(samples)} samples are {value}")


def _decode_sndfile(data: bytes, code: int | None) -> tuple[np.ndarray, int]:
    """Decode through libsndfile; `code` is the format code of a wav file."""
    if data[:4] == b"OggS":
        _check_ogg_pages(data)
    check_whole(io.BytesIO(data))
    data = without_tail(data)
    content = corrected_length(data)
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise SertkError(f"soundfile cannot be used ({error}): pip install soundfile") from None
    try:
        with soundfile.SoundFile(_Content(content)) as file:
            rate, expected, form, subtype = file.samplerate, file.frames, file.format, file.subtype
            check_header(rate, file.channels, form)
            samples = _read_pieces(file)
    except (soundfile.SoundFileError, ValueError, RuntimeError) as error:
        raise UnfitAudio(_explained(data, code, str(error))) from None
    if data[:7] == b"NIST_1A" and (count := re.search(rb"sample_count -i (\d{1,18})", data[:4096])):
        expected = int(count[1])  # libsndfile computes it from the file's size
        samples = samples[:expected]
    frame = 1152 if rate >= 32000 else 576
    if form == "MP3":
        # Encoders disagree on whether to count the frame that holds the count.
        expected = expected - frame if content is data and counts_mp3_frames(data) else 0
    elif subtype == "MPEG_LAYER_III":
        # The fact chunk of a wav file counts the encoder's delay too. Its bytes were checked before.
        expected -= 2 * frame
    if len(samples) < expected:
        raise UnfitAudio(f"is truncated: {len(samples)} samples where its header says {expected}")
    with np.errstate(over="ignore"):  # one_channel refuses what overflows
        samples *= SCALE
    return samples, rate


def _read_pieces(file: "soundfile.SoundFile") -> np.ndarray:
    """All samples, (samples, channels) float32, read in pieces: the count in a damaged header may be any number."""
    size, pieces, total = max(1, _PIECE // file.channels), [], 0
    while True:
        pieces.append(file.read(size, dtype="float32", always_2d=True))
        total += pieces[-1].size
        if total > MAX_VALUES:
            hours = MAX_VALUES / file.channels / file.samplerate / 3600
            raise UnfitAudio(f"is longer than the {hours:.1f} hours that can be decoded at once: cut it into parts")
        if len(pieces[-1]) < size:
            return _joined(pieces)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """The pieces concatenated; each is freed once it is copied, so that memory holds the samples only once."""
    if len(pieces) == 1:
        return pieces[0]
    whole = np.empty((sum(map(len, pieces)), pieces[0].shape[1]), np.float32)
    first = 0
    for number, piece in enumerate(pieces):
        whole[first : first + len(piece)] = piece
        first, pieces[number] = first + len(piece), None
    return whole


def _explained(data: bytes, code: int | None, error: str) -> str:
    """The reason for the user, given libsndfile's error."""
    if code is not None and (reason := unread_codec(code)):
        return reason
    if data[:4] == b"OggS" and b"\x7fFLAC" in data[:64]:
        error = "FLAC in Ogg, which libsndfile reads badly; ffmpeg -i FILE -c:a pcm_s16le OUT.wav may read it"
    elif re.search("unimplemented|unknown format|not supported|unsupported", error, re.IGNORECASE):
        if reason := unread_letters(data):
            return reason
        error = f"{error.rstrip('.')}; ffmpeg may read it: ffmpeg -i FILE -c:a pcm_s16le OUT.wav"
    reason = error.partition(">: ")[2] or error
    if "SF_INFO struct" in reason:
        reason = "its header has an impossible rate or number of channels"
    if "not a regular file" in reason:  # libsndfile's error for an mp3 without frames
        reason = "no mp3 frames in it"
    return f"is damaged, or not audio that can be decoded ({reason.strip().rstrip('.')})"


class _Content(io.BytesIO):
    """Bytes to read from; libsndfile seeks before the beginning of damaged files, and then gets the beginning."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset, but never before the beginning."""
        origin = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, origin + offset))


def _check_ogg_pages(data: bytes) -> None:
    """Raise UnfitAudio unless an Ogg file is one stream whose last page is whole and flagged so (RFC 3533, section 6)."""
    if data.find(b"OggS\0\x02", 1) > 0:
        raise UnfitAudio(
            "has several Ogg streams, and libsndfile reads only the first: convert it (ffmpeg -i FILE -c:a pcm_s16le OUT.wav)"
        )
    page = data[data.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        raise UnfitAudio("is truncated: its last Ogg page is missing")
