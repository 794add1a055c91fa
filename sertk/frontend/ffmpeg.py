"""Decode m4a and mp4, which libsndfile cannot read, with ffmpeg."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.containers import check_whole
from sertk.frontend.unfit import UnfitAudio, check_header
from sertk.frontend.wav import parse_wav

# Words of ffmpeg's errors, and the reason for the user; the first that matches is reported.
_REASONS = (
    ("matches no streams", "has no sound track"),
    ("moov atom not found", "is truncated: its index (moov) is missing"),
    ("Unknown encoder 'pcm_s16le'", "cannot be decoded: this ffmpeg has no pcm_s16le"),
)
# Lines that only follow from an earlier error.
_FOLLOWS = re.compile(
    r"To ignore this|Error opening (in|out)put|Conversion failed|Nothing was written|Task finished|Terminating"
)

# After these errors ffmpeg drops frames and still exits with 0.
_DAMAGED = re.compile(r"Error (submitting packet|while decoding stream)")


def decode_ffmpeg(sources: Sequence[str | Path | bytes]) -> list[tuple[np.ndarray, int]]:
    """Decode files with one ffmpeg process.

    Starting ffmpeg takes longer than decoding an utterance: thirty files at a time are many times faster than one by
    one.

    Args:
        sources: paths, or contents as bytes

    Returns:
        For each source the samples, (samples, channels) int16, and their rate in Hz.

    Raises:
        SertkError: if ffmpeg is missing.
        UnfitAudio: if any source cannot be decoded; with several sources the reason does not say which.
    """
    import shutil  # these three imports take 4 ms, and few recordings are m4a
    import subprocess
    import tempfile

    if not shutil.which("ffmpeg"):
        raise SertkError(
            "m4a needs ffmpeg, which is not on PATH: install it (apt install ffmpeg, conda install ffmpeg)"
        )
    with tempfile.TemporaryDirectory(prefix="sertk-") as folder:
        command, outputs = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1"], []
        for i, source in enumerate(sources):
            with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
                check_whole(file)
            if isinstance(
                source, bytes
            ):  # an mp4 file may have its index at the end, so ffmpeg cannot read it from a pipe
                path = f"{folder}/{i}.m4a"
                with open(path, "wb") as file:
                    file.write(source)
                source = path
            # Without "file:", ffmpeg reads a name with a colon as a protocol.
            command += ["-i", f"file:{source}"]
            outputs += ["-map", f"{i}:a:0", "-c:a", "pcm_s16le", "-f", "wav", f"{folder}/{i}.wav"]
        process = subprocess.run([*command, *outputs], stdin=subprocess.DEVNULL, capture_output=True)
        errors = process.stderr.decode("utf-8", "replace")
        if process.returncode:
            raise UnfitAudio(_reason(errors, process.returncode))
        if _DAMAGED.search(errors):
            raise UnfitAudio(f"is damaged: ffmpeg dropped frames that it could not decode ({_first_line(errors)})")
        decoded = []
        for i in range(len(sources)):
            with open(f"{folder}/{i}.wav", "rb") as file:
                wav = parse_wav(file.read())
            check_header(wav.rate, wav.channels, "m4a")
            if not len(wav.data):
                raise UnfitAudio("has a header and no samples")
            decoded.append((wav.samples(), wav.rate))
        return decoded


def _reason(errors: str, status: int) -> str:
    """Why ffmpeg failed, given what it printed and its exit status."""
    for words, reason in _REASONS:
        if words in errors:
            return reason
    return f"cannot be decoded by ffmpeg ({_first_line(errors) or f'exit status {status}'})"


def _first_line(errors: str) -> str:
    """The first error that does not follow from another, without memory addresses."""
    lines = [re.sub(r"^(\[[^\]]*\] *)+", "", line).strip() for line in errors.splitlines()]
    return next((line[:150] for line in lines if line and not _FOLLOWS.search(line)), "")
