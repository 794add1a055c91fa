"""Read a segments file: the parts of recordings that are utterances."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from sertk.datadir.folder import CHANNEL
from sertk.datadir.lists import read_lines
from sertk.errors import SertkError

# Kaldi splits at ASCII white space only.
_SPACE = re.compile(r"[ \t\r\f\v]+")


@dataclass(frozen=True)
class Segment:
    """A line of a segments file.

    Attributes:
        key: key of the segment
        recording: key of the recording
        start: start in seconds
        end: end in seconds; -1: the end of the recording
        where: file, line and key, for messages
        channel: channel from 0; None: not given
        reason: why the line is invalid
    """

    key: str
    recording: str
    start: float
    end: float
    where: str
    channel: int | None = None
    reason: str = ""


def read_segments(path: Path | str) -> list[Segment]:
    """Read a segments file, lines of `utterance recording start end [channel]`.

    Args:
        path: the segments file

    Returns:
        The segments in order; an invalid line has a reason (Kaldi's extract-segments skips it with a warning).

    Raises:
        SertkError: if the file is missing, empty or not text, or if a key comes twice; names file and line.
    """
    segments: dict[str, Segment] = {}
    for number, line in read_lines(path):
        key, *words = _SPACE.split(line) if line else [f"line {number}"]
        where = f"{path}:{number}: key {key}"
        if key in segments:
            raise SertkError(f"{path}:{number}: key {key} comes twice")
        segments[key] = _segment(key, words, where)
    if not segments:
        raise SertkError(f"{path}: is empty")
    return list(segments.values())


def _segment(key: str, words: list[str], where: str) -> Segment:
    """Parse the words after a line's key (Kaldi: featbin/extract-segments.cc)."""
    broken = Segment(key, words[0] if words else "", 0.0, 0.0, where)
    try:
        if not 3 <= len(words) <= 4:
            raise ValueError
        start, end = float(words[1]), float(words[2])
    except ValueError:
        line = " ".join([key, *words])[:80]
        return replace(broken, reason=f"{where}: not 'utterance recording start end [channel]': '{line}'")
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or (end != -1 and end <= start):
        return replace(broken, reason=f"{where}: from {words[1]} to {words[2]} is not a time span")
    channel = words[3] if len(words) == 4 else "-1"
    if not CHANNEL.fullmatch(channel):
        return replace(broken, reason=f"{where}: invalid channel '{channel[:20]}' (0, 1, …, A, B, or -1 for --channel)")
    number = {"A": 0, "B": 1, "-1": None}.get(channel, 0)
    return Segment(key, words[0], start, end, where, int(channel) if channel.isdigit() else number)
