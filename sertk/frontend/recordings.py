"""The recordings of a wav.scp or an archive, or the parts of them that a segments file names, as jobs for threads."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.frontend.audio import UnfitAudio, decode, decode_ffmpeg, one_channel, read_wav_of_archive
from sertk.frontend.containers import is_mp4
from sertk.kaldi.script import Entry, read_script
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import classify_input, open_input
from sertk.kaldi.tables import read_raw_table

log = logging.getLogger("sertk")

# m4a files that one ffmpeg process decodes, and segments that one decoding of a recording serves.
MP4_BATCH = 32
SEGMENT_BATCH = 100


@dataclass(frozen=True)
class Speech:
    """Samples of an utterance, float32 in the 16-bit range, and their rate; or the reason why there are none.

    where: file, line and key, for messages
    """

    key: str
    where: str
    samples: np.ndarray | None = None
    rate: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Segment:
    """A line of a segments file: seconds; an end of -1 is the recording's."""

    key: str
    recording: str
    start: float
    end: float
    where: str


Job = Callable[[], list[Speech]]


def read_recordings(source: Rspecifier | str, segments=None, **choices) -> Iterator[Speech]:
    """The utterances one after the other; the arguments are those of `recording_jobs`."""
    for job in recording_jobs(source, segments, **choices):
        yield from job()


def recording_jobs(
    source: Rspecifier | str, segments=None, channel: int | None = None, max_overshoot: float = 0.5
) -> Iterator[Job]:
    """Functions that any thread may call, each of which decodes a few utterances; their order is the table's.

    segments: path of a segments file; its order is the order then, and the table has to be a script
    max_overshoot: seconds that a segment may end after its recording: it is cut then, beyond that it is unfit
    What is unfit (truncated, empty, not audio) becomes a Speech with a reason, and so does, with `p`, what cannot be
    read. Raises SertkError, here or in a job, for all else.
    """
    source = as_rspecifier(source)
    read = Reader(source.permissive, channel)
    if segments is not None:
        yield from _segment_jobs(source, segments, read, max_overshoot)
    elif source.script:
        yield from _script_jobs(source, read)
    else:
        yield from _archive_jobs(source, read)


@dataclass(frozen=True)
class Reader:
    """Reads a script's entries."""

    permissive: bool
    channel: int | None

    def one(self, entry: Entry) -> Speech:
        """The recording of one line."""
        return self.speech(entry.key, entry.where, lambda: self._content(entry))

    def several(self, entries: list[Entry]) -> list[Speech]:
        """The recordings of m4a files, with one ffmpeg process if all is well."""
        try:
            decoded = decode_ffmpeg([entry.name for entry in entries])
        except (UnfitAudio, OSError):
            return [self.one(entry) for entry in entries]
        return [self.speech(entry.key, entry.where, lambda d=d: d) for entry, d in zip(entries, decoded)]

    def speech(self, key: str, where: str, content: Callable[[], tuple[np.ndarray, int]]) -> Speech:
        """`content()`, (samples (samples, channels), rate), as Speech; what is unfit as a reason."""
        try:
            samples, rate = content()
            return Speech(key, where, one_channel(samples, self.channel), rate)
        except UnfitAudio as error:
            return Speech(key, where, reason=str(error))
        except SertkError as error:
            if self.permissive:
                return Speech(key, where, reason=str(error))
            raise SertkError(f"{where}: {error}") from None

    def _content(self, entry: Entry) -> tuple[np.ndarray, int]:
        try:
            with open_input(entry.name) as stream:
                # A place in an archive has other recordings after it.
                data = read_wav_of_archive(stream) if classify_input(entry.name) == "offset" else stream.read()
            return decode_ffmpeg([data])[0] if is_mp4(data) else decode(data)
        except UnfitAudio as error:
            raise UnfitAudio(f"{entry.name} {error}") from None
        except OSError as error:
            raise SertkError(f"{entry.name}: cannot be read: {error.strerror or error}") from None


def read_segments(path) -> list[Segment]:
    """A segments file, lines of `utterance recording start end`; SertkError names file and line."""
    found = []
    for number, (key, line) in enumerate(read_list(path, columns=None).items(), 1):
        where = f"{path}:{number}: key {key}"
        words = line.split()
        try:
            recording, start, end = words[0], float(words[1]), float(words[2])
        except (ValueError, IndexError):
            raise SertkError(f"{where}: not 'utterance recording start end': '{key} {line[:80]}'") from None
        if len(words) > 3:
            raise SertkError(f"{where}: {len(words) + 1} columns where 4 are wanted (--channel chooses a channel)")
        if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or (end != -1 and end <= start):
            raise SertkError(f"{where}: from {words[1]} to {words[2]} is no stretch of time")
        found.append(Segment(key, recording, start, end, where))
    return found


def _script_jobs(source: Rspecifier, read: Reader) -> Iterator[Job]:
    for together, entries in groupby(read_script(source), _is_mp4_file):
        if together:
            while batch := list(islice(entries, MP4_BATCH)):
                yield lambda batch=batch: read.several(batch)
        else:
            for entry in entries:
                _refuse_range(entry)
                yield lambda entry=entry: [read.one(entry)]


def _archive_jobs(source: Rspecifier, read: Reader) -> Iterator[Job]:
    for key, stream in read_raw_table(source):
        where = f"{stream.label}: key {key}"
        try:
            data = read_wav_of_archive(stream)
        except SertkError as error:
            raise SertkError(f"{where}: {error}") from None
        yield lambda key=key, where=where, data=data: [read.speech(key, where, lambda: decode(data))]


def _segment_jobs(source: Rspecifier, path, read: Reader, max_overshoot: float) -> Iterator[Job]:
    if not source.script:
        raise SertkError(f"{source}: --segments picks recordings by name: a script (scp:wav.scp) is wanted")
    entries = {entry.key: entry for entry in read_script(source)}
    for entry in entries.values():
        _refuse_range(entry)
    for name, segments in groupby(read_segments(path), lambda segment: segment.recording):
        entry = entries.get(name)
        while batch := list(islice(segments, SEGMENT_BATCH)):
            yield lambda entry=entry, batch=batch: _cut(entry, batch, read, max_overshoot)


def _cut(entry: Entry | None, segments: list[Segment], read: Reader, max_overshoot: float) -> list[Speech]:
    if entry is None:
        reason = f"there is no recording {segments[0].recording}"
        return [Speech(segment.key, segment.where, reason=reason) for segment in segments]
    whole = read.one(entry)
    if whole.samples is None:
        return [Speech(segment.key, segment.where, reason=whole.reason) for segment in segments]
    return [_part(whole, segment, max_overshoot) for segment in segments]


def _part(whole: Speech, segment: Segment, max_overshoot: float) -> Speech:
    """The segment's samples (Kaldi: featbin/extract-segments.cc)."""
    total, rate = len(whole.samples), whole.rate
    start = int(segment.start * rate)
    end = total if segment.end == -1 else int(segment.end * rate)
    late = (end - total) / rate
    reason = ""
    if start >= total:
        reason = f"begins at {segment.start:g} s, after the end of {segment.recording} ({total / rate:g} s)"
    elif late > max_overshoot:
        reason = f"ends {late:g} s after {segment.recording} does (--max-overshoot={max_overshoot:g})"
    elif late > 0:
        log.warning("%s: ends %g s after %s does: cut there", segment.key, late, segment.recording)
    if reason:
        return Speech(segment.key, segment.where, reason=reason)
    return Speech(segment.key, segment.where, whole.samples[start:end], rate)


def _is_mp4_file(entry: Entry) -> bool:
    name = entry.name.lower()
    return entry.range is None and name.endswith((".m4a", ".mp4")) and classify_input(entry.name) == "file"


def _refuse_range(entry: Entry):
    if entry.range is not None:
        raise SertkError(f"{entry.where}: a range ([{entry.range}]) of a recording: use --segments")
