"""The recordings of a wav.scp or an archive, or the parts of them that a segments file names, as jobs for threads."""

import logging
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice
from threading import Lock

import numpy as np

from sertk.datadir.lists import read_lines
from sertk.errors import SertkError
from sertk.frontend.audio import decode, decode_file, one_channel
from sertk.frontend.ffmpeg import decode_ffmpeg
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.frontend.wav import read_wav_of_archive
from sertk.kaldi.script import Entry, read_script
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import classify_input, open_input, split_offset
from sertk.kaldi.tables import read_raw_table

log = logging.getLogger("sertk")

# m4a files that one ffmpeg process decodes, and segments that one job cuts out of a recording.
MP4_BATCH = 32
SEGMENT_BATCH = 100
# Bytes of decoded recordings that are held for segments still to come, besides those that are being cut.
HELD = 256 << 20
# The channel column of segments: Kaldi's numbers, the letters of telephone corpora, -1 where it is left open.
_CHANNEL = re.compile(r"[0-9]{1,3}|A|B|-1")
# Kaldi splits at ASCII white space only.
_SPACE = re.compile(r"[ \t\r\f\v]+")


@dataclass
class Speech:
    """Samples of an utterance, float32 in the 16-bit range, and their rate; or the reason why there are none.

    where: file, line and key, for messages
    """

    key: str
    where: str
    samples: np.ndarray | None = None
    rate: int = 0
    reason: str = ""

    def take(self) -> np.ndarray:
        """The samples, which are no longer held here: an hour of them is 600 MB that features need not stand beside."""
        samples, self.samples = self.samples, None
        return samples


@dataclass(frozen=True)
class Segment:
    """A line of a segments file: seconds; an end of -1 is the recording's. `reason` says why a broken line is none."""

    key: str
    recording: str
    start: float
    end: float
    where: str
    channel: int | None = None
    reason: str = ""


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
    What is unfit (missing, truncated, empty, not audio) becomes a Speech with a reason, and so does a broken line of
    segments and, with `p`, a pipe that fails. Raises SertkError, here or in a job, for all else.
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
        if classify_input(entry.name) == "file":
            return self.guarded(entry.key, entry.where, lambda: self._of_file(entry))
        return self.speech(entry.key, entry.where, lambda: self.content(entry), f"{entry.name} ")

    def several(self, entries: list[Entry]) -> list[Speech]:
        """The recordings of m4a files, with one ffmpeg process if all is well."""
        try:
            with one_recording():
                decoded = decode_ffmpeg([entry.name for entry in entries])
        except UnfitAudio:
            return [self.one(entry) for entry in entries]
        return [
            self.speech(entry.key, entry.where, lambda d=d: d, f"{entry.name} ") for entry, d in zip(entries, decoded)
        ]

    def speech(self, key: str, where: str, content: Callable[[], tuple[np.ndarray, int]], name: str = "") -> Speech:
        """`content()`, (samples (samples, channels), rate), as Speech; what is unfit as a reason that begins with `name`."""
        return self.guarded(key, where, lambda: self._chosen(key, where, content, name))

    def guarded(self, key: str, where: str, make: Callable[[], Speech]) -> Speech:
        """`make()`; a Speech with the reason where it raises UnfitAudio, or with `p` anything that a user can put right."""
        try:
            return make()
        except UnfitAudio as error:
            return Speech(key, where, reason=str(error))
        except SertkError as error:
            if self.permissive:
                return Speech(key, where, reason=str(error))
            raise SertkError(f"{where}: {error}") from None

    def content(self, entry: Entry) -> tuple[np.ndarray, int]:
        """All channels of a line's recording, (samples, channels), and its rate."""
        kind = classify_input(entry.name)
        if kind in ("file", "offset"):
            path, offset = split_offset(entry.name) if kind == "offset" else (entry.name, 0)
            with open(path, "rb") as file:
                file.seek(offset)
                # A place in an archive has other recordings after it.
                data = _in_archive(file) if kind == "offset" else file.read()
        else:
            with open_input(entry.name) as stream:
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
    """Put `name` before the reason of an UnfitAudio that is raised inside the block."""
    try:
        yield
    except UnfitAudio as error:
        raise UnfitAudio(f"{name}{error}") from None


def _in_archive(file) -> bytes:
    """The wav file at a place in an archive; what is wrong there harms this entry alone."""
    try:
        return read_wav_of_archive(file)
    except SertkError as error:
        raise UnfitAudio(str(error)) from None


def read_segments(path) -> list[Segment]:
    """A segments file, lines of `utterance recording start end` and, where there is one, a channel.

    A broken line becomes a Segment with a reason (Kaldi's extract-segments warns of it and reads on).

    Raises:
        SertkError: for a missing or empty file, a key that comes twice, and what is not text; names file and line.
    """
    found: dict[str, Segment] = {}
    for number, line in read_lines(path):
        key, *words = _SPACE.split(line) if line else [f"line {number}"]
        where = f"{path}:{number}: key {key}"
        if key in found:
            raise SertkError(f"{path}:{number}: key {key} comes twice")
        found[key] = _segment(key, words, where)
    if not found:
        raise SertkError(f"{path}: is empty")
    return list(found.values())


def _segment(key: str, words: list[str], where: str) -> Segment:
    """A line's words after its key as a segment (Kaldi: featbin/extract-segments.cc)."""
    broken = Segment(key, words[0] if words else "", 0.0, 0.0, where)
    try:
        if not 3 <= len(words) <= 4:
            raise ValueError
        start, end = float(words[1]), float(words[2])
    except ValueError:
        line = " ".join([key, *words])[:80]
        return replace(broken, reason=f"{where}: not 'utterance recording start end [channel]': '{line}'")
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or (end != -1 and end <= start):
        return replace(broken, reason=f"{where}: from {words[1]} to {words[2]} is no stretch of time")
    channel = words[3] if len(words) == 4 else "-1"
    if not _CHANNEL.fullmatch(channel):
        return replace(broken, reason=f"{where}: no channel: '{channel[:20]}' (0, 1, …, A, B, or -1 for --channel)")
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


def _segment_jobs(source: Rspecifier, path, read: Reader, max_overshoot: float) -> Iterator[Job]:
    if not source.script:
        raise SertkError(f"{source}: --segments picks recordings by name: a script (scp:wav.scp) is wanted")
    entries = {entry.key: entry for entry in read_script(source)}
    for entry in entries.values():
        _refuse_range(entry)
    segments = read_segments(path)
    cut = _Cutter(entries, segments, read, max_overshoot)
    for _, together in groupby(segments, lambda segment: (segment.recording, bool(segment.reason))):
        while batch := list(islice(together, SEGMENT_BATCH)):
            yield lambda batch=batch: cut(batch)
    if cut.num_decoded > 2 * len(cut.left):
        log.warning("%s: %d recordings were decoded %d times so far: sorted by recording it takes less time",
                    path, len(cut.left), cut.num_decoded)  # fmt: skip


class _Cutter:
    """Segments out of recordings, each of which is decoded once, whatever the order, as long as HELD bytes hold them.

    entries: key to a script's line
    segments: all of them, in their order: a recording is let go with its last one
    max_overshoot: seconds

    Any thread may call it. A recording that had to be let go before is decoded again.
    """

    def __init__(self, entries: dict[str, Entry], segments: list[Segment], read: Reader, max_overshoot: float):
        self.entries, self.read, self.max_overshoot = entries, read, max_overshoot
        self.left = Counter(segment.recording for segment in segments if not segment.reason)
        self.decoded: OrderedDict[str, Future] = OrderedDict()
        self.lock, self.bytes, self.num_decoded = Lock(), 0, 0

    def __call__(self, segments: list[Segment]) -> list[Speech]:
        """The samples of segments that are all of one recording, or all broken."""
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
        """The recording as the result of a future that is done; another thread that decodes it is waited for."""
        with self.lock:
            whole = self.decoded.get(entry.key)
            mine = whole is None
            if mine:
                whole = self.decoded[entry.key] = Future()
                self.num_decoded += 1
            self.decoded.move_to_end(entry.key)
        if mine:
            try:
                with named(f"{entry.name} "), one_recording():
                    whole.set_result(self.read.content(entry))
            except Exception as error:
                whole.set_exception(error)
            self._make_room(entry.key, whole)
        whole.exception()
        return whole

    def _make_room(self, key: str, whole: Future) -> None:
        """Count what was decoded, and let go of what was not used for longest, but never of `key` itself."""
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
        """The segment's samples, from and to the nearest one (Kaldi: featbin/extract-segments.cc)."""

        def make() -> Speech:
            samples, rate = whole.result()
            total = len(samples)
            start = int(segment.start * rate + 0.5)
            end = total if segment.end == -1 else int(segment.end * rate + 0.5)
            late = 0.0 if segment.end == -1 else segment.end - total / rate
            if start >= total:
                raise UnfitAudio(
                    f"begins at {segment.start:g} s, after the end of {segment.recording} ({total / rate:g} s)"
                )
            if late > self.max_overshoot:
                raise UnfitAudio(
                    f"ends {late:g} s after {segment.recording} does (--max-overshoot={self.max_overshoot:g})"
                )
            channel = self.read.channel if segment.channel is None else segment.channel
            with named(f"{entry.name} "), one_recording():
                part = one_channel(samples[start:end], channel)
            if end > total:
                log.warning("%s: ends %g s after %s does: cut there", segment.key, late, segment.recording)
            return Speech(segment.key, segment.where, part, rate)

        return self.read.guarded(segment.key, segment.where, make)


def _size(whole: Future) -> int:
    return 0 if whole.exception() else whole.result()[0].nbytes


def _is_mp4_file(entry: Entry) -> bool:
    name = entry.name.lower()
    return entry.range is None and name.endswith((".m4a", ".mp4")) and classify_input(entry.name) == "file"


def _refuse_range(entry: Entry):
    if entry.range is not None:
        raise SertkError(f"{entry.where}: a range ([{entry.range}]) of a recording: use --segments")
