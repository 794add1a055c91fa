"""Audio files into samples: wav, flac, ogg, mp3, sph, aiff, au, caf through libsndfile, m4a through ffmpeg.

Samples come in the range of 16-bit integers whatever the container, as Kaldi's do: a recording has the same features
as wav and as flac. What a header says is held against bounds before anything is computed or allocated by it.
"""

import io
import mmap
import os
import re
from collections.abc import Callable

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.containers import check_whole, counts_mp3_frames, is_mp4, without_tail
from sertk.frontend.ffmpeg import decode_ffmpeg
from sertk.frontend.identify import refusal, unread_codec, unread_letters
from sertk.frontend.unfit import MAX_VALUES, UnfitAudio, check_header, one_recording
from sertk.frontend.wav import is_wav, parse_wav

SCALE = 32768
# Samples times channels that libsndfile decodes at a time.
_PIECE = 1 << 22
# Bytes of a file beyond which it is not read as a whole where that can be helped.
_LARGE_FILE = 1 << 25


def read_audio(source, channel: int | None = None) -> tuple[np.ndarray, int]:
    """The samples of one recording and their rate.

    Args:
        source: path, content (bytes) or binary stream
        channel: which one to take, from 0; None wants a recording that has just one

    Returns:
        float32 (samples,) in the range of 16-bit integers, and Hz.

    Raises:
        UnfitAudio: for what is missing, truncated, empty or not audio, has several channels without `channel`, or NaN
            or infinite samples.
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
    """All channels of the content of an audio file, (samples, channels) in the 16-bit range, and the rate in Hz.

    Returns:
        int16 where the file has them so (an hour of them is half as large), else float32.

    Raises:
        UnfitAudio: for what is truncated, empty or not audio.
        SertkError: where soundfile or ffmpeg is missing.
    """
    if not data:
        raise UnfitAudio("is empty")
    if is_mp4(data):
        return decode_ffmpeg([data])[0]
    if reason := refusal(data):
        raise UnfitAudio(reason)
    wav = parse_wav(data) if is_wav(data) else None
    # 16-bit PCM is by far the most usual case, ten times faster than through libsndfile.
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


def decode_file(path, pick: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, int]:
    """What `pick` makes of the samples of an audio file, and the rate in Hz.

    Args:
        path: of the file
        pick: (samples, channels) in the 16-bit range -> float32 (samples,); of a large file it is called piece by piece

    Raises:
        UnfitAudio: for what is truncated, empty or not audio.
        OSError: where it cannot be opened.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _LARGE_FILE and (picked := _pick_pcm16(file, pick)):
            return picked
        samples, rate = decode(file.read())
    return pick(samples), rate


def _pick_pcm16(file, pick) -> tuple[np.ndarray, int] | None:
    """As decode_file, for a wav file of 16-bit PCM, of which a piece at a time is read; None where it is another."""
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
        wanted = min(size, count - first)
        piece = np.frombuffer(file.read(2 * wav.channels * wanted), "<i2")
        picked[first : first + wanted] = pick(piece.reshape(wanted, wav.channels))
    return picked, wav.rate


def one_channel(samples: np.ndarray, channel: int | None) -> np.ndarray:
    """One column of (samples, channels) as float32, checked to be finite.

    Raises:
        UnfitAudio: where there is no such channel, or several and none was chosen, and for NaN or infinite samples.
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
    # A sum is infinite or NaN where a sample is, at a tenth of the cost of asking each one.
    if not np.isfinite(samples.sum(dtype=np.float64)) and not np.isfinite(samples).all():
        where = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise UnfitAudio(f"has NaN or infinite samples (sample {where} is {samples[where]})")
    return samples


def check_sound(samples: np.ndarray) -> None:
    """UnfitAudio where (samples,) in the 16-bit range has no sound: 16 bits would hold the same number throughout."""
    # Few recordings begin and end with the same sample: the others are not searched.
    if not len(samples) or abs(samples[0] - samples[-1]) >= 1:
        return
    low, high = samples.min(), samples.max()
    if high - low < 1:
        value = "0" if low <= 0 <= high else f"{samples[0]:g}"
        raise UnfitAudio(f"has no sound: every one of its {len(samples)} samples is {value}")


def _decode_sndfile(data: bytes, code: int | None) -> tuple[np.ndarray, int]:
    """Decode through libsndfile; `code` is a wav file's codec."""
    if data[:4] == b"OggS":
        _check_last_page(data)
    check_whole(io.BytesIO(data))
    data = without_tail(data)
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise SertkError(f"soundfile cannot be used ({error}): pip install soundfile") from None
    try:
        with soundfile.SoundFile(_Content(data)) as file:
            rate, stated, form, subtype = file.samplerate, file.frames, file.format, file.subtype
            check_header(rate, file.channels, form)
            samples = _read_pieces(file)
    except (soundfile.SoundFileError, ValueError, RuntimeError) as error:
        raise UnfitAudio(_refused(data, code, str(error))) from None
    if data[:7] == b"NIST_1A" and (count := re.search(rb"sample_count -i (\d{1,18})", data[:4096])):
        stated = int(count[1])  # libsndfile goes by the file's size
        samples = samples[:stated]
    frame = 1152 if rate >= 32000 else 576
    if form == "MP3":
        # Writers disagree whether the frame that holds the count is counted; without it libsndfile goes by the size.
        stated = stated - frame if counts_mp3_frames(data) else 0
    elif subtype == "MPEG_LAYER_III":
        # The count of a wav's fact chunk has the encoder's delay in it. Its bytes have been counted.
        stated -= 2 * frame
    if len(samples) < stated:
        raise UnfitAudio(f"is truncated: {len(samples)} samples where its header says {stated}")
    samples *= SCALE
    return samples, rate


def _read_pieces(file) -> np.ndarray:
    """All samples of a SoundFile, float32 (samples, channels), piece by piece: a header may promise what it has not."""
    size, pieces, total = max(1, _PIECE // file.channels), [], 0
    while True:
        pieces.append(file.read(size, dtype="float32", always_2d=True))
        total += pieces[-1].size
        if total > MAX_VALUES:
            hours = MAX_VALUES / file.channels / file.samplerate / 3600
            raise UnfitAudio(f"is longer than the {hours:.1f} hours that are decoded at once: cut it into parts")
        if len(pieces[-1]) < size:
            return _joined(pieces)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """The pieces one after the other; each is let go of as it is copied, so that they are not held twice."""
    if len(pieces) == 1:
        return pieces[0]
    whole = np.empty((sum(map(len, pieces)), pieces[0].shape[1]), np.float32)
    first = 0
    for number, piece in enumerate(pieces):
        whole[first : first + len(piece)] = piece
        first, pieces[number] = first + len(piece), None
    return whole


def _refused(data: bytes, code: int | None, error: str) -> str:
    """What to say of a file that libsndfile refuses with `error`."""
    if code is not None and (reason := unread_codec(code)):
        return reason
    if data[:4] == b"OggS" and b"\x7fFLAC" in data[:64]:
        error = "FLAC in Ogg, with which libsndfile has trouble; ffmpeg -i FILE -c:a pcm_s16le OUT.wav may read it"
    elif re.search("unimplemented|unknown format|not supported|unsupported", error, re.IGNORECASE):
        if reason := unread_letters(data):
            return reason
        error = f"{error.rstrip('.')}; ffmpeg may read it: ffmpeg -i FILE -c:a pcm_s16le OUT.wav"
    reason = error.partition(">: ")[2] or error
    if "not a regular file" in reason:  # what libsndfile says where an mp3 has no frames
        reason = "no frames of mp3 in it"
    return f"is damaged, or not audio that can be decoded ({reason.strip().rstrip('.')})"


class _Content(io.BytesIO):
    """Bytes to read from. For a damaged file libsndfile asks for places before the beginning: it gets the beginning."""

    def seek(self, offset, whence=io.SEEK_SET):
        origin = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, origin + offset))


def _check_last_page(data: bytes):
    """UnfitAudio unless an Ogg file ends with a whole page that says it is the last (RFC 3533, section 6)."""
    page = data[data.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        raise UnfitAudio("is truncated: its last Ogg page is missing")
