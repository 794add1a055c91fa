"""Read the recordings of a wav.scp or an archive, or the parts that a segments file lists, as jobs for threads."""

import logging
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np

from sertk.datadir.folder import CHANNEL
from sertk.datadir.lists import read_lines
from sertk.errors import SertkError
from sertk.frontend.audio import decode, decode_file, one_channel
from sertk.frontend.ffmpeg import decode_ffmpeg
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.frontend.wav import read_wav_of_archive
from sertk.kaldi.script import Entry, read_script
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import open_input
from sertk.kaldi.tables import read_raw_table

log = logging.getLogger("sertk")

# m4a files decoded by one ffmpeg process, and segments cut by one job.
MP4_BATCH = 32
SEGMENT_BATCH = 100
# Bytes of decoded recordings kept for later segments, besides those being cut.
HELD = 256 << 20
# Kaldi splits at ASCII white space only.
_SPACE = re.compile(r"[ \t\r\f\v]+")


@dataclass
class Speech:
    """Samples of an utterance, or the reason why it has none.

    Attributes:
        key: key of the utterance
        where: file, line and key, for messages
        samples: (samples,) float32 in the 16-bit range, or None
        rate: sample rate in Hz
        reason: why there are no samples
    """

    key: str
    where: str
    samples: np.ndarray | None = None
    rate: int = 0
    reason: str = ""

    def take(self) -> np.ndarray:
        """Return the samples and drop them here, so that they can be freed early: an hour takes 600 MB."""
        samples, self.samples = self.samples, None
        return samples


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


Job = Callable[[], list[Speech]]


def read_recordings(source: Rspecifier | str, segments: Path | str | None = None, **options: Any) -> Iterator[Speech]:
    """Read utterances one by one; the arguments are those of `recording_jobs`."""
    for job in recording_jobs(source, segments, **options):
        yield from job()


def recording_jobs(
    source: Rspecifier | str,
    segments: Path | str | None = None,
    channel: int | None = None,
    max_overshoot: float = 0.5,
) -> Iterator[Job]:
    """Divide the decoding of a table of recordings into jobs.

    Args:
        source: table of recordings
        segments: segments file; the table must be a script then
        channel: channel to take, from 0; None: every recording must have one channel
        max_overshoot: seconds by which a segment may end after its recording; it is cut at the end of the recording

    Yields:
        Jobs that any thread may call, in the order of the table, or of the segments. A job returns the Speech of a few
        utterances, with a reason if a recording is missing, truncated, empty or not audio, if a line of segments is
        invalid, and, with `p`, if a pipe fails.

    Raises:
        SertkError: for every other error; a job raises it too.
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
    """Decode the entries of a script.

    Args:
        permissive: a failed pipe is the reason of a Speech and no error (`scp,p:`)
        channel: channel to take, from 0; None: every recording must have one channel
    """

    permissive: bool
    channel: int | None

    def one(self, entry: Entry) -> Speech:
        """Decode the recording of one line."""
        if entry.rxfilename.kind == "file":
            return self.guarded(entry.key, entry.where, lambda: self._of_file(entry))
        return self.speech(entry.key, entry.where, lambda: self.content(entry), f"{entry.name} ")

    def several(self, entries: list[Entry]) -> list[Speech]:
        """Decode m4a files with one ffmpeg process; one by one if that fails."""
        try:
            with one_recording():
                decoded = decode_ffmpeg([entry.name for entry in entries])
        except UnfitAudio:
            return [self.one(entry) for entry in entries]
        return [
            self.speech(entry.key, entry.where, lambda d=d: d, f"{entry.name} ") for entry, d in zip(entries, decoded)
        ]

    def speech(self, key: str, where: str, content: Callable[[], tuple[np.ndarray, int]], name: str = "") -> Speech:
        """Turn a recording into Speech.

        Args:
            key: key of the utterance
            where: file, line and key, for messages
            content: returns samples (samples, channels) and their rate
            name: name of the recording, with which a reason begins
        """
        return self.guarded(key, where, lambda: self._chosen(key, where, content, name))

    def guarded(self, key: str, where: str, make: Callable[[], Speech]) -> Speech:
        """Call `make` and turn its UnfitAudio, or with `p` any SertkError, into a Speech with a reason."""
        try:
            return make()
        except UnfitAudio as error:
            return Speech(key, where, reason=str(error))
        except SertkError as error:
            if self.permissive:
                return Speech(key, where, reason=str(error))
            raise SertkError(f"{where}: {error}") from None

    def content(self, entry: Entry) -> tuple[np.ndarray, int]:
        """Decode all channels of a line's recording: (samples, channels), and the rate in Hz."""
        place = entry.rxfilename
        if place.stored:
            with open(place.path, "rb") as file:
                file.seek(place.offset)
                # In an archive other recordings follow.
                data = _in_archive(file) if place.kind == "offset" else file.read()
        else:
            with open_input(place) as stream:
                data = stream.read()
        return decode(data)

    def _of_file(self, entry: Entry) -> Speech:
        with named(f"{entry.name} "), one_recording():
            samples, rate = decode_file(entry.name, lambda samples: one_channel(samples, self.channel))
            return Speech(entry.key, entry.where, samples, rate)

    def _chosen(self, key: str, where: str, content: Callable, name: str) -> Speech:
        with named(name), one_recording():
            samples, rate = content()
            return Speech(key, where, one_channel(samples, self.channel), rate)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Prefix the reason of an UnfitAudio raised inside the block with `name`."""
    try:
        yield
    except UnfitAudio as error:
        raise UnfitAudio(f"{name}{error}") from None


def _in_archive(file: BinaryIO) -> bytes:
    """Read the wav file at an offset in an archive; an error there is that of this entry only."""
    try:
        return read_wav_of_archive(file)
    except SertkError as error:
        raise UnfitAudio(str(error)) from None


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


def _segment_jobs(source: Rspecifier, path: Path | str, read: Reader, max_overshoot: float) -> Iterator[Job]:
    if not source.script:
        raise SertkError(f"{source}: --segments looks up recordings by key and needs a script (scp:wav.scp)")
    entries = {entry.key: entry for entry in read_script(source)}
    for entry in entries.values():
        _refuse_range(entry)
    segments = read_segments(path)
    cut = _Cutter(entries, segments, read, max_overshoot)
    for _, together in groupby(segments, lambda segment: (segment.recording, bool(segment.reason))):
        while batch := list(islice(together, SEGMENT_BATCH)):
            yield lambda batch=batch: cut(batch)
    if cut.num_decoded > 2 * len(cut.left):
        log.warning(
            "%s: %d recordings were decoded %d times; sort the file by recording to save time",
            path,
            len(cut.left),
            cut.num_decoded,
        )


class _Cutter:
    """Cut segments out of recordings. Thread-safe.

    A decoded recording is cached until its last segment is cut, as long as all of them take no more than HELD bytes;
    one that was dropped earlier is decoded again.

    Args:
        entries: script lines by recording
        segments: all segments
        read: decodes the recordings
        max_overshoot: seconds by which a segment may end after its recording
    """

    def __init__(self, entries: dict[str, Entry], segments: list[Segment], read: Reader, max_overshoot: float) -> None:
        self.entries, self.read, self.max_overshoot = entries, read, max_overshoot
        self.left = Counter(segment.recording for segment in segments if not segment.reason)
        self.decoded: OrderedDict[str, Future] = OrderedDict()
        self.lock, self.bytes, self.num_decoded = Lock(), 0, 0

    def __call__(self, segments: list[Segment]) -> list[Speech]:
        """Cut segments that are all of one recording, or all invalid."""
        first = segments[0]
        if first.reason:
            return [Speech(segment.key, segment.where, reason=segment.reason) for segment in segments]
        entry = self.entries.get(first.recording)
        if entry is None:
            reason = f"there is no recording {first.recording}"
            return [Speech(segment.key, segment.where, reason=reason) for segment in segments]
        whole = self._whole(entry)
        try:
            return [self._part(entry, whole, segment) for segment in segments]
        finally:
            self._release(entry.key, len(segments))

    def _whole(self, entry: Entry) -> Future:
        """The decoded recording, or its error; waits if another thread is decoding it."""
        with self.lock:
            whole = self.decoded.get(entry.key)
            must_decode = whole is None
            if must_decode:
                whole = self.decoded[entry.key] = Future()
                self.num_decoded += 1
            self.decoded.move_to_end(entry.key)
        if must_decode:
            try:
                with named(f"{entry.name} "), one_recording():
                    whole.set_result(self.read.content(entry))
            except Exception as error:
                whole.set_exception(error)
            self._make_room(entry.key, whole)
        whole.exception()
        return whole

    def _make_room(self, key: str, whole: Future) -> None:
        """Count a decoded recording and drop the least recently used ones, but not this one."""
        with self.lock:
            self.bytes += _size(whole)
            while self.bytes > HELD:
                oldest = next((name for name, other in self.decoded.items() if name != key and other.done()), None)
                if oldest is None:
                    return
                self.bytes -= _size(self.decoded.pop(oldest))

    def _release(self, key: str, count: int) -> None:
        with self.lock:
            self.left[key] -= count
            whole = self.decoded.get(key)
            if self.left[key] <= 0 and whole is not None and whole.done():
                self.bytes -= _size(self.decoded.pop(key))

    def _part(self, entry: Entry, whole: Future, segment: Segment) -> Speech:
        """The segment's samples; times are rounded to the nearest sample (Kaldi: featbin/extract-segments.cc)."""

        def make() -> Speech:
            samples, rate = whole.result()
            total = len(samples)
            start = int(segment.start * rate + 0.5)
            end = total if segment.end == -1 else int(segment.end * rate + 0.5)
            late = 0.0 if segment.end == -1 else segment.end - total / rate
            if start >= total:
                raise UnfitAudio(
                    f"starts at {segment.start:g} s, after the end of {segment.recording} ({total / rate:g} s)"
                )
            if late > self.max_overshoot:
                raise UnfitAudio(f"ends {late:g} s after {segment.recording} (--max-overshoot={self.max_overshoot:g})")
            channel = self.read.channel if segment.channel is None else segment.channel
            with named(f"{entry.name} "), one_recording():
                part = one_channel(samples[start:end], channel)
            if end > total:
                log.warning("%s: ends %g s after %s: cut there", segment.key, late, segment.recording)
            return Speech(segment.key, segment.where, part, rate)

        return self.read.guarded(segment.key, segment.where, make)


def _size(whole: Future) -> int:
    return 0 if whole.exception() else whole.result()[0].nbytes


def _is_mp4_file(entry: Entry) -> bool:
    name = entry.name.lower()
    return entry.range is None and name.endswith((".m4a", ".mp4")) and entry.rxfilename.kind == "file"


def _refuse_range(entry: Entry) -> None:
    if entry.range is not None:
        raise SertkError(f"{entry.where}: ranges ([{entry.range}]) of recordings are not supported: use --segments")
