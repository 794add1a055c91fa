"""wav.scp and archives of wav files into utterances."""

import shlex
import tracemalloc

import numpy as np
import pytest
from support import needs_ffmpeg
from wavscp import SAMPLES, segments, table

from sertk.errors import SertkError
from sertk.frontend.recordings import read_recordings


def test_files_and_pipes_come_in_the_tables_order(folder):
    found = list(read_recordings(table("y b.flac\nx a.wav\nz cat a.wav |\n")))
    assert [speech.key for speech in found] == ["y", "x", "z"]
    for speech, expected in zip(found, (-SAMPLES, SAMPLES, SAMPLES)):
        np.testing.assert_array_equal(speech.samples, expected)


def test_an_archive_of_wav_files_is_read_and_its_places_too(folder):
    content = {name: (folder / f"{name}.wav").read_bytes() for name in "ab"}
    with open("w.ark", "wb") as file:
        for name in "ab":
            file.write(f"{name} ".encode() + content[name])
    for source in ("ark:w.ark", "ark:cat w.ark |", table(f"a w.ark:2\nb w.ark:{len(content['a']) + 4}\n")):
        found = list(read_recordings(source))
        assert [speech.key for speech in found] == ["a", "b"]
        np.testing.assert_array_equal(found[1].samples, -SAMPLES)


def test_an_archive_of_something_else_is_an_error(folder):
    (folder / "w.ark").write_bytes(b"a " + (folder / "a.flac").read_bytes())
    with pytest.raises(SertkError, match=r"w.ark.*key a.*not a wav file"):
        list(read_recordings("ark:w.ark"))


def test_an_archive_that_ends_within_a_recording_is_an_error(folder):
    (folder / "w.ark").write_bytes(b"a " + (folder / "a.wav").read_bytes()[:-100])
    with pytest.raises(SertkError, match="100 bytes are missing"):
        list(read_recordings("ark:w.ark"))


def test_a_size_in_an_archive_is_not_allocated_at_once(folder):
    wav = (folder / "a.wav").read_bytes()
    (folder / "w.ark").write_bytes(b"a " + wav[:4] + (0x7FFFEFFF).to_bytes(4, "little") + wav[8:])
    tracemalloc.start()
    with pytest.raises(SertkError, match=r"key a.*the archive ends within the recording"):
        list(read_recordings("ark:w.ark"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_segments_want_a_script(folder):
    with pytest.raises(SertkError, match="script"):
        list(read_recordings("ark:w.ark", segments("u rec 0 1\n")))


@needs_ffmpeg
def test_m4a_files_share_one_ffmpeg_and_a_broken_one_is_skipped(folder, shell):
    shell(
        f"for i in 1 2 3; do ffmpeg -v error -i {shlex.quote(str(folder))}/a.wav $i.m4a; done; head -c 900 1.m4a > 4.m4a"
    )
    good = "".join(f"u{i} {i}.m4a\n" for i in (1, 2, 3))
    found = list(read_recordings(table(good)))
    assert all(abs(len(speech.samples) - len(SAMPLES)) < 2048 for speech in found)
    mixed = list(read_recordings(table(good + "u4 4.m4a\n")))
    assert [speech.samples is None for speech in mixed] == [False, False, False, True]
    for one, other in zip(found, mixed):
        np.testing.assert_array_equal(one.samples, other.samples)
    there, gone = read_recordings(table("u1 1.m4a\nu5 gone.m4a\n"))
    assert there.samples is not None and gone.reason.startswith("gone.m4a cannot be read")
