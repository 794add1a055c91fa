"""Recordings that cannot be read: what costs one recording, and what is an error."""

import pytest
from wavscp import SAMPLES, segments, table

from sertk.errors import SertkError
from sertk.frontend import speech as reading
from sertk.frontend.recordings import read_recordings


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
    real = reading.decode

    def decode(data):
        if len(data) == 50:
            raise error
        return real(data)

    (folder / "bad").write_bytes(bytes(50))
    monkeypatch.setattr(reading, "decode", decode)
    source, choice = table("r1 a.wav\nr2 bad\nr3 a.wav\n"), {}
    if segmented:
        choice["segments"] = segments("r1 r1 0 1\nr2 r2 0 1\nr3 r3 0 1\n")
    found = list(read_recordings(source, **choice))
    assert [speech.samples is None for speech in found] == [False, True, False]
    assert found[1].reason.startswith("bad ") and "\n" not in found[1].reason


def test_what_the_machine_lacks_is_no_files_fault(folder, monkeypatch):
    monkeypatch.setattr(reading, "decode_file", lambda *_: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with pytest.raises(OSError, match="Too many open files"):
        list(read_recordings(table("x a.wav\n")))


def test_a_truncated_file_is_unfit_and_named(folder):
    (folder / "c.wav").write_bytes((folder / "a.wav").read_bytes()[:-200])
    (cut,) = read_recordings(table("x c.wav\n"))
    assert cut.samples is None and cut.reason.startswith("c.wav is truncated")
