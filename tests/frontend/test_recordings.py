"""wav.scp, archives of wav files and segments into utterances; threads into the recordings' order."""

import shlex
import tracemalloc

import numpy as np
import pytest
import soundfile
from references import signal
from support import needs_ffmpeg

from sertk.errors import SertkError
from sertk.frontend import recordings
from sertk.frontend.pipeline import in_order
from sertk.frontend.recordings import read_recordings, read_segments

SAMPLES = signal(2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, samples in (("a", SAMPLES), ("b", -SAMPLES)):
        soundfile.write(f"{name}.wav", samples.astype(np.int16), 16000)
        soundfile.write(f"{name}.flac", samples.astype(np.int16), 16000)
    return tmp_path


def table(text) -> str:
    with open("wav.scp", "w") as file:
        file.write(text)
    return "scp:wav.scp"


def segments(text) -> str:
    with open("segments", "w") as file:
        file.write(text)
    return "segments"


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


def test_an_absurd_header_in_an_archive_costs_its_recording(folder):
    wav = (folder / "a.wav").read_bytes()
    (folder / "w.ark").write_bytes(b"a " + wav[:24] + bytes(4) + wav[28:] + b"b " + wav)
    bad, good = read_recordings("ark:w.ark")
    assert "0 samples a second" in bad.reason and len(good.samples) == len(SAMPLES)


@pytest.mark.parametrize(
    "line, says",
    [
        ("x false |", "exited with 1"),
        ("x cat a.wav; exit 3 |", "exited with 3"),
        ("x a.wav[0:10]", "use --segments"),
    ],
)
def test_a_pipe_that_fails_is_an_error_that_names_line_and_key(folder, line, says):
    with pytest.raises(SertkError, match=r"wav.scp:1: key x.*" + says.replace("[", r"\[")):
        list(read_recordings(table(line + "\n")))


def test_a_missing_or_unreadable_file_is_unfit_and_named(folder):
    (folder / "w.ark").write_bytes(b"a " + (folder / "a.wav").read_bytes()[:-100])
    lines = ["a gone.wav", "b .", "c gone.ark:5", "d w.ark:9999999", "e w.ark:2", "f a.wav"]
    *unfit, there = read_recordings(table("\n".join(lines) + "\n"))
    assert there.key == "f" and there.samples is not None
    reasons = ["gone.wav cannot be read: No such file", ". cannot be read: Is a directory", "gone.ark:5 cannot be read",
               "w.ark:9999999 is not a wav file", "w.ark:2 the archive ends within"]  # fmt: skip
    assert all(found.reason.startswith(reason) for found, reason in zip(unfit, reasons, strict=True))


def test_with_p_a_pipe_that_fails_is_unfit(folder):
    table("x cat a.wav; exit 3 |\ny a.wav\n")
    failed, there = read_recordings("scp,p:wav.scp")
    assert failed.samples is None and "exited with 3" in failed.reason and there.samples is not None


@pytest.mark.parametrize(
    "error", [MemoryError(), ZeroDivisionError("of a bug"), RuntimeError("x\ny"), OSError(5, "I/O")]
)
@pytest.mark.parametrize("segmented", [False, True])
def test_whatever_a_file_raises_costs_that_file(folder, monkeypatch, error, segmented):
    real = recordings.decode

    def decode(data):
        if len(data) == 50:
            raise error
        return real(data)

    (folder / "bad").write_bytes(bytes(50))
    monkeypatch.setattr(recordings, "decode", decode)
    source, choice = table("r1 a.wav\nr2 bad\nr3 a.wav\n"), {}
    if segmented:
        choice["segments"] = segments("r1 r1 0 1\nr2 r2 0 1\nr3 r3 0 1\n")
    found = list(read_recordings(source, **choice))
    assert [speech.samples is None for speech in found] == [False, True, False]
    assert found[1].reason.startswith("bad ") and "\n" not in found[1].reason


def test_what_the_machine_lacks_is_no_files_fault(folder, monkeypatch):
    monkeypatch.setattr(recordings, "decode_file", lambda *_: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with pytest.raises(OSError, match="Too many open files"):
        list(read_recordings(table("x a.wav\n")))


def test_a_truncated_file_is_unfit_and_named(folder):
    (folder / "c.wav").write_bytes((folder / "a.wav").read_bytes()[:-200])
    (cut,) = read_recordings(table("x c.wav\n"))
    assert cut.samples is None and cut.reason.startswith("c.wav is truncated")


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


@pytest.mark.parametrize(
    "line, says",
    [
        ("u rec 0", "utterance recording start end"),
        ("u rec zero 1", "utterance recording start end"),
        ("u rec 1 1", "not a time span"),
        ("u rec 2 1", "not a time span"),
        ("u rec -1 1", "not a time span"),
        ("u rec nan 1", "not a time span"),
        ("u rec 0 inf", "not a time span"),
        ("u rec 0 1 C", "invalid channel"),
        ("u rec 0 1 -2", "invalid channel"),
        ("u rec 0 1 0 0", "utterance recording start end"),
        ("u", "utterance recording start end"),
        ("", "utterance recording start end"),
    ],
)
def test_a_broken_line_of_segments_costs_that_segment(folder, line, says):
    table("rec a.wav\n")
    lines = segments(f"x rec 0 1\n{line}\nz rec 0.5 1\n")
    before, broken, after = read_recordings("scp:wav.scp", lines)
    assert broken.samples is None and broken.reason.startswith("segments:2: ") and says in broken.reason
    assert broken.key == (line.split()[0] if line else "line 2")
    assert len(before.samples) == 16000 and len(after.samples) == 8000


@pytest.mark.parametrize("text, says", [("u rec 0 1\nu rec 1 2\n", "twice"), ("", "empty"), ("u rec 0 1\r\n", "CR LF")])
def test_a_segments_file_that_is_none_is_an_error(folder, text, says):
    with pytest.raises(SertkError, match=rf"segments.*{says}"):
        read_segments(segments(text))


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
    real = recordings.decode
    monkeypatch.setattr(recordings, "decode", lambda data: decoded.append(1) or real(data))
    jobs = recordings.recording_jobs("scp:wav.scp", alternating(60))
    found = list(in_order(lambda: lambda job: job(), jobs, threads))
    assert len(decoded) == 4 and [speech.key for speech in found] == [f"u{i:03}" for i in range(60)]
    for i, speech in enumerate(found):
        np.testing.assert_array_equal(speech.samples, (-1) ** i * SAMPLES[160 * i : 160 * i + 8000])


def test_recordings_beyond_the_room_for_them_are_decoded_again(folder, monkeypatch, caplog):
    monkeypatch.setattr(recordings, "HELD", 150_000)  # one of the four
    found = list(read_recordings("scp:wav.scp", alternating(60)))
    assert all(len(speech.samples) == 8000 for speech in found)
    assert "4 recordings were decoded 59 times" in caplog.text


def test_a_recording_is_let_go_with_its_last_segment(folder):
    lines = read_segments(alternating(8))
    entries = {entry.key: entry for entry in recordings.read_script(recordings.as_rspecifier("scp:wav.scp"))}
    cut = recordings._Cutter(entries, lines, recordings.Reader(False, None), 0.5)
    for segment in lines:
        assert cut([segment])[0].samples is not None
    assert not cut.decoded and cut.bytes == 0 and cut.num_decoded == 4


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
