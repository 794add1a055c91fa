"""Lines of a segments file."""

import pytest
from wavscp import segments, table

from sertk.errors import SertkError
from sertk.frontend.recordings import read_recordings
from sertk.frontend.segments import read_segments


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
