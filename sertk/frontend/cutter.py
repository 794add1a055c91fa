"""Cut segments out of recordings in several threads, each recording decoded once where memory allows."""

import logging
from collections import Counter, OrderedDict
from concurrent.futures import Future
from threading import Lock

from sertk.frontend.audio import one_channel
from sertk.frontend.segments import Segment
from sertk.frontend.speech import Reader, Speech, named
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.kaldi.script import Entry

log = logging.getLogger("sertk")

# Bytes of decoded recordings kept for later segments, besides those being cut.
HELD = 256 << 20


class Cutter:
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
