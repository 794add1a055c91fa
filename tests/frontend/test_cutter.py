"""Segments cut out of recordings that are decoded once."""

import numpy as np
import pytest
import soundfile
from wavscp import SAMPLES, segments, table

from sertk.frontend import cutter
from sertk.frontend import speech as reading
from sertk.frontend.pipeline import in_order
from sertk.frontend.recordings import read_recordings, recording_jobs
from sertk.frontend.segments import read_segments
from sertk.kaldi.script import read_script
from sertk.kaldi.specifiers import as_rspecifier


def test_segments_are_the_samples_between_their_times(folder):
    table("rec a.wav\nother b.flac\n")
    found = list(
        read_recordings("scp:wav.scp", segments("u1 rec 0.5 1.25\nu2 rec 1.25 -1\nu3 other 0 0.1\nu4 rec 0 2\n"))
    )
    expected = [SAMPLES[8000:20000], SAMPLES[20000:], -SAMPLES[:1600], SAMPLES]
    for speech, samples in zip(found, expected, strict=True):
        np.testing.assert_array_equal(speech.samples, samples)
    assert [speech.key for speech in found] == ["u1", "u2", "u3", "u4"]


def test_a_segment_that_ends_a_little_late_is_cut_with_a_warning(folder, caplog):
    table("rec a.wav\n")
    (speech,) = read_recordings("scp:wav.scp", segments("u1 rec 1.5 2.5\n"))
    assert len(speech.samples) == 8000 and "0.5 s after rec" in caplog.text


@pytest.mark.parametrize("end, overshoot", [("2.51", 0.5), ("9", 0.5), ("2.1", 0.05)])
def test_a_segment_that_ends_too_late_is_unfit(folder, end, overshoot):
    table("rec a.wav\n")
    (speech,) = read_recordings("scp:wav.scp", segments(f"u1 rec 1 {end}\n"), max_overshoot=overshoot)
    assert speech.samples is None and "--max-overshoot" in speech.reason


def test_a_segment_after_the_end_or_of_no_recording_is_unfit(folder):
    table("rec a.wav\n")
    late, lost = read_recordings("scp:wav.scp", segments("u1 rec 2 2.2\nu2 none 0 1\n"))
    assert "after the end" in late.reason and "no recording none" in lost.reason


def test_a_segment_chooses_its_channel(folder):
    soundfile.write("st.wav", np.stack([SAMPLES, -SAMPLES], 1).astype(np.int16), 16000)
    table("rec st.wav\n")
    lines = segments("a rec 0 1 0\nb rec 0 1 1\nc rec 0 1 A\nd rec 0 1 B\ne rec 0 1 -1\nf rec 0 1\ng rec 0 1 2\n")
    a, b, c, d, e, f, g = read_recordings("scp:wav.scp", lines)
    for left, right in ((a, b), (c, d)):
        np.testing.assert_array_equal(left.samples, SAMPLES[:16000])
        np.testing.assert_array_equal(right.samples, -SAMPLES[:16000])
    assert "2 channels" in e.reason and "2 channels" in f.reason and "no channel 2" in g.reason
    *_, e, f, g = read_recordings("scp:wav.scp", lines, channel=1)
    np.testing.assert_array_equal(e.samples, -SAMPLES[:16000])
    np.testing.assert_array_equal(f.samples, -SAMPLES[:16000])


def test_segment_times_are_rounded_to_samples_as_in_kaldi(folder):
    table("rec a.wav\n")
    (speech,) = read_recordings("scp:wav.scp", segments("u rec 0.10004 0.50006\n"))  # samples 1600.64 and 8000.96
    np.testing.assert_array_equal(speech.samples, SAMPLES[1601:8001])


def alternating(count, recordings=4):
    """A script of recordings, and segments that go through them in turn."""
    table("".join(f"r{i} {'ab'[i % 2]}.wav\n" for i in range(recordings)))
    lines = [f"u{i:03} r{i % recordings} {0.01 * i:.2f} {0.01 * i + 0.5:.2f}\n" for i in range(count)]
    return segments("".join(lines))


@pytest.mark.parametrize("threads", [1, 3])
def test_segments_that_alternate_decode_each_recording_once(folder, monkeypatch, threads):
    decoded = []
    real = reading.decode
    monkeypatch.setattr(reading, "decode", lambda data: decoded.append(1) or real(data))
    jobs = recording_jobs("scp:wav.scp", alternating(60))
    found = list(in_order(lambda: lambda job: job(), jobs, threads))
    assert len(decoded) == 4 and [speech.key for speech in found] == [f"u{i:03}" for i in range(60)]
    for i, speech in enumerate(found):
        np.testing.assert_array_equal(speech.samples, (-1) ** i * SAMPLES[160 * i : 160 * i + 8000])


def test_recordings_beyond_the_room_for_them_are_decoded_again(folder, monkeypatch, caplog):
    monkeypatch.setattr(cutter, "HELD", 150_000)  # one of the four
    found = list(read_recordings("scp:wav.scp", alternating(60)))
    assert all(len(speech.samples) == 8000 for speech in found)
    assert "4 recordings were decoded 59 times" in caplog.text


def test_a_recording_is_let_go_with_its_last_segment(folder):
    lines = read_segments(alternating(8))
    entries = {entry.key: entry for entry in read_script(as_rspecifier("scp:wav.scp"))}
    cut = cutter.Cutter(entries, lines, reading.Reader(False, None), 0.5)
    for segment in lines:
        assert cut([segment])[0].samples is not None
    assert not cut.decoded and cut.bytes == 0 and cut.num_decoded == 4
