"""m4a and mp4, which libsndfile does not read, through ffmpeg."""

import io
import re

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.containers import check_whole
from sertk.frontend.unfit import UnfitAudio, check_header
from sertk.frontend.wav import parse_wav

# What ffmpeg says, and what it means for whoever has the file. The first that is found in its lines is the reason.
_REASONS = (
    ("matches no streams", "has no sound track"),
    ("moov atom not found", "is truncated: its index (moov) is missing"),
    ("Unknown encoder 'pcm_s16le'", "cannot be decoded: this ffmpeg has no pcm_s16le"),
)
# Lines that only follow from an earlier one.
_FOLLOWS = re.compile(
    r"To ignore this|Error opening (in|out)put|Conversion failed|Nothing was written|Task finished|Terminating"
)

# With these ffmpeg drops frames, carries on and exits with 0.
_DAMAGED = re.compile(r"Error (submitting packet|while decoding stream)")


def decode_ffmpeg(sources: list) -> list[tuple[np.ndarray, int]]:
    """Decode files (paths, or contents as bytes) that libsndfile cannot, with one ffmpeg process for all of them.

    Starting ffmpeg takes longer than decoding an utterance: thirty files at a time are many times faster than one by one.

    Returns:
        (samples (samples, channels) in the 16-bit range, rate) for each.

    Raises:
        SertkError: without ffmpeg.
        UnfitAudio: if any of them cannot be decoded; the reason is that file's only where `sources` has one.
    """
    import shutil  # all three are 4 ms of every start, and few recordings are m4a
    import subprocess
    import tempfile

    if not shutil.which("ffmpeg"):
        raise SertkError(
            "m4a needs ffmpeg, and there is none on PATH: install it (apt install ffmpeg, conda install ffmpeg)"
        )
    with tempfile.TemporaryDirectory(prefix="sertk-") as folder:
        words, outputs = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1"], []
        for i, source in enumerate(sources):
            with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
                check_whole(file)
            if isinstance(source, bytes):  # an mp4 file may have its index at the end: a pipe will not do
                path = f"{folder}/{i}.m4a"
                with open(path, "wb") as file:
                    file.write(source)
                source = path
            # "file:" keeps ffmpeg from taking a name with a colon for a protocol.
            words += ["-i", f"file:{source}"]
            outputs += ["-map", f"{i}:a:0", "-c:a", "pcm_s16le", "-f", "wav", f"{folder}/{i}.wav"]
        done = subprocess.run([*words, *outputs], stdin=subprocess.DEVNULL, capture_output=True)
        said = done.stderr.decode("utf-8", "replace")
        if done.returncode:
            raise UnfitAudio(_reason(said, done.returncode))
        if _DAMAGED.search(said):
            raise UnfitAudio(f"is damaged: ffmpeg left out what it could not decode ({_first_line(said)})")
        decoded = []
        for i in range(len(sources)):
            with open(f"{folder}/{i}.wav", "rb") as file:
                wav = parse_wav(file.read())
            check_header(wav.rate, wav.channels, "m4a")
            if not len(wav.data):
                raise UnfitAudio("has a header and no samples")
            decoded.append((wav.samples(), wav.rate))
        return decoded


def _reason(said: str, status: int) -> str:
    """Why ffmpeg failed, out of its lines."""
    for words, meaning in _REASONS:
        if words in said:
            return meaning
    return f"cannot be decoded by ffmpeg ({_first_line(said) or f'exit status {status}'})"


def _first_line(said: str) -> str:
    """The first of ffmpeg's lines that is not a consequence of another, without addresses in its memory."""
    lines = [re.sub(r"^(\[[^\]]*\] *)+", "", line).strip() for line in said.splitlines()]
    return next((line[:150] for line in lines if line and not _FOLLOWS.search(line)), "")
