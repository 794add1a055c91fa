"""Read the recordings of a wav.scp or an archive, or the parts that a segments file lists, as jobs for threads."""

import logging
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from sertk.errors import SertkError
from sertk.frontend.audio import decode
from sertk.frontend.cutter import Cutter
from sertk.frontend.segments import read_segments
from sertk.frontend.speech import Job, Reader, Speech
from sertk.frontend.wav import read_wav_of_archive
from sertk.kaldi.script import Entry, read_script
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.tables import read_raw_table

log = logging.getLogger("sertk")

# m4a files decoded by one ffmpeg process, and segments cut by one job.
MP4_BATCH = 32
SEGMENT_BATCH = 100


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
    cut = Cutter(entries, segments, read, max_overshoot)
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


def _is_mp4_file(entry: Entry) -> bool:
    name = entry.name.lower()
    return entry.range is None and name.endswith((".m4a", ".mp4")) and entry.rxfilename.kind == "file"


def _refuse_range(entry: Entry) -> None:
    if entry.range is not None:
        raise SertkError(f"{entry.where}: ranges ([{entry.range}]) of recordings are not supported: use --segments")
