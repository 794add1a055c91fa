"""Audio files into samples: wav, flac, ogg, mp3, sph through libsndfile, m4a through ffmpeg.

Samples come in the range of 16-bit integers whatever the container, as Kaldi's do: a recording has the same features
as wav and as flac.
"""

import io
import re
import shutil
import struct
import subprocess
import tempfile

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.containers import counts_mp3_frames, is_mp4, missing_bytes

SCALE = 32768
# A header written before the length was known says 0 or one of the largest numbers (ffmpeg's, sox's, Kaldi's).
_UNKNOWN = 0x7FFFF000
_PCM, _EXTENSIBLE = 1, 0xFFFE
_PIECE = 1 << 22


class UnfitAudio(SertkError):
    """A recording that is there but of no use: truncated, empty, not audio. make-fbank skips and counts it."""


def read_audio(source, channel: int | None = None) -> tuple[np.ndarray, int]:
    """The samples of one recording and their rate.

    source: path, content (bytes) or binary stream
    channel: which one to take, from 0; None wants a recording that has just one
    Returns float32 (samples,) in the range of 16-bit integers, and Hz.
    Raises UnfitAudio for what is truncated, empty or not audio, SertkError for several channels without `channel` and
    for NaN or infinity.
    """
    if hasattr(source, "read"):
        source = source.read()
    elif not isinstance(source, bytes):
        with open(source, "rb") as file:
            source = file.read()
    samples, rate = decode_ffmpeg([source])[0] if is_mp4(source) else decode(source)
    return one_channel(samples, channel), rate


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """All channels of the content of an audio file, float32 (samples, channels) in the 16-bit range, and the rate."""
    if not data:
        raise UnfitAudio("is empty")
    wav = _parse_wav(data) if data[:4] == b"RIFF" and data[8:12] == b"WAVE" else None
    if wav and wav.form == _PCM and wav.bits == 16 and wav.channels:
        # By far the most usual case, ten times faster than through libsndfile.
        samples = np.frombuffer(wav.data, "<i2", len(wav.data) // (2 * wav.channels) * wav.channels)
        samples, rate = samples.reshape(-1, wav.channels).astype(np.float32), wav.rate
    else:
        samples, rate = _decode_sndfile(wav.content if wav else data)
    if not len(samples):
        raise UnfitAudio("has a header and no samples")
    return samples, rate


def one_channel(samples: np.ndarray, channel: int | None) -> np.ndarray:
    """One column of (samples, channels), checked to be of numbers."""
    channels = samples.shape[1]
    if channel is None and channels > 1:
        raise SertkError(f"has {channels} channels: choose one with --channel (from 0)")
    if channel is not None and channel >= channels:
        raise UnfitAudio(f"has no channel {channel} (channels: {channels}, counted from 0)")
    samples = np.ascontiguousarray(samples[:, channel or 0])
    # A sum is infinite or NaN where a sample is, at a tenth of the cost of asking each one.
    if not np.isfinite(samples.sum(dtype=np.float64)) and not np.isfinite(samples).all():
        where = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise SertkError(f"sample {where} is {samples[where]}: NaN or infinity")
    return samples


def read_wav_of_archive(stream) -> bytes:
    """The one wav file that `stream` stands at in an archive of wav files (Kaldi's wav-copy): its header has the size."""
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise SertkError("is not a wav file: an archive of recordings holds wav files alone")
    size = struct.unpack("<I", head[4:8])[0]
    if size == 0 or size >= _UNKNOWN:
        raise SertkError("is a wav file whose header does not say how long it is: it cannot stand in an archive")
    body = stream.read(size - 4)
    if len(body) < size - 4:
        raise SertkError(f"the archive ends within the recording ({size - 4 - len(body)} bytes are missing)")
    return head + body


def decode_ffmpeg(sources: list) -> list[tuple[np.ndarray, int]]:
    """Decode files (paths, or contents as bytes) that libsndfile cannot, with one ffmpeg process for all of them.

    Starting ffmpeg takes longer than decoding an utterance: thirty files at a time are many times faster than one by one.
    Returns (samples (samples, channels) in the 16-bit range, rate) for each. Raises SertkError without ffmpeg,
    UnfitAudio if any of them cannot be decoded.
    """
    if not shutil.which("ffmpeg"):
        raise SertkError(
            "m4a needs ffmpeg, and there is none on PATH: install it (apt install ffmpeg, conda install ffmpeg)"
        )
    with tempfile.TemporaryDirectory(prefix="sertk-") as folder:
        words, outputs = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1"], []
        for i, source in enumerate(sources):
            with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
                _check_whole(file)
            if isinstance(source, bytes):  # an mp4 file may have its index at the end: a pipe will not do
                path = f"{folder}/{i}.m4a"
                with open(path, "wb") as file:
                    file.write(source)
                source = path
            # "file:" keeps ffmpeg from taking a name with a colon for a protocol.
            words += ["-i", f"file:{source}"]
            outputs += ["-map", f"{i}:a:0", "-c:a", "pcm_s16le", "-f", "wav", f"{folder}/{i}.wav"]
        done = subprocess.run([*words, *outputs], stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
            raise UnfitAudio(f"cannot be decoded by ffmpeg ({said[-1]})")
        decoded = []
        for i in range(len(sources)):
            with open(f"{folder}/{i}.wav", "rb") as file:
                decoded.append(decode(file.read()))
        return decoded


class _Wav:
    """What a wav file's header says: format code, channels, rate, bits, and the bytes of its samples.

    content: the file, with the size of the samples put right where the header left it open
    """

    def __init__(self, content: bytes):
        self.content = content
        self.form = self.channels = self.rate = self.bits = 0
        self.data = memoryview(b"")


def _parse_wav(data: bytes) -> _Wav:
    """Walk over the chunks of a wav file; UnfitAudio where the samples are fewer than the header says."""
    wav, position = _Wav(data), 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if name == b"fmt " and size >= 16 and position + 16 <= len(data):
            wav.form, wav.channels, wav.rate, _, _, wav.bits = struct.unpack_from("<HHIIHH", data, position)
            if wav.form == _EXTENSIBLE and size >= 26 and position + 26 <= len(data):
                wav.form = struct.unpack_from("<H", data, position + 24)[0]
        elif name == b"data":
            left = len(data) - position
            if size == 0 or size >= _UNKNOWN:
                size = left
                wav.content = data[: position - 4] + struct.pack("<I", size) + data[position:]
            if size > left:
                raise UnfitAudio(f"is truncated: {left} bytes of samples where its header says {size}")
            wav.data = memoryview(data)[position : position + size]
            return wav
        position += size + size % 2
    raise UnfitAudio("has a header and no samples" if wav.rate else "is a damaged wav file")


def _decode_sndfile(data: bytes) -> tuple[np.ndarray, int]:
    if data[:4] == b"OggS":
        _check_last_page(data)
    _check_whole(io.BytesIO(data))
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise SertkError(f"soundfile cannot be used ({error}): pip install soundfile") from None
    try:
        with soundfile.SoundFile(_Content(data)) as file:
            rate, stated, form = file.samplerate, file.frames, file.format
            # Piece by piece: a damaged header may promise more than any memory holds.
            pieces = [file.read(_PIECE, dtype="float32", always_2d=True)]
            while len(pieces[-1]) == _PIECE:
                pieces.append(file.read(_PIECE, dtype="float32", always_2d=True))
            samples = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
    except (soundfile.SoundFileError, ValueError, RuntimeError) as error:
        reason = str(error).rpartition(": ")[2].strip().rstrip(".")
        raise UnfitAudio(f"is damaged, or not audio that can be decoded ({reason})") from None
    if data[:7] == b"NIST_1A" and (count := re.search(rb"sample_count -i (\d{1,18})", data[:4096])):
        stated = int(count[1])  # libsndfile goes by the file's size
    if form == "MP3":
        # Writers disagree whether the frame that holds the count is counted; without it libsndfile goes by the size.
        frame = 1152 if rate >= 32000 else 576
        stated = stated - frame if counts_mp3_frames(data) else 0
    if len(samples) < stated:
        raise UnfitAudio(f"is truncated: {len(samples)} samples where its header says {stated}")
    samples *= SCALE
    return samples, rate


class _Content(io.BytesIO):
    """Bytes to read from. For a damaged file libsndfile asks for places before the beginning: it gets the beginning."""

    def seek(self, offset, whence=io.SEEK_SET):
        origin = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, origin + offset))


def _check_whole(file):
    if missing := missing_bytes(file):
        raise UnfitAudio(f"is truncated: {missing} of the bytes that its header promises are missing")


def _check_last_page(data: bytes):
    """UnfitAudio unless an Ogg file ends with a whole page that says it is the last (RFC 3533, section 6)."""
    page = data[data.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        raise UnfitAudio("is truncated: its last Ogg page is missing")
