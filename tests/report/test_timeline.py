"""The picture along time: the waveform's outline, and the formats in which it is written."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.report.timeline import check_format, outline, timeline, write_timeline


def test_the_outline_keeps_every_extreme():
    samples = np.zeros(100_000, np.float32)
    samples[[777, 50_000]] = [32768, -16384]
    low, high = outline(samples)
    assert len(low) == len(high) <= 2000 and high.max() == 1 and low.min() == -0.5
    assert outline(samples[:0]).shape == (2, 0)


def test_only_formats_of_pictures_are_accepted(tmp_path):
    for name in ("a.png", "a.PDF", "a.svg", "a.html"):
        check_format(tmp_path / name)
    with pytest.raises(SertkError, match=r"a.txt: a picture's name ends in"):
        check_format(tmp_path / "a.txt")


def test_every_format_is_written(tmp_path):
    stretches = [(0.0, 1.0, "a<b"), (1.0, 2.0, "neu")]
    posteriors = np.array([[0.7, 0.3], [0.2, 0.8]])
    wave = outline(np.sin(np.arange(3200)) * 9000)
    picture = timeline("talk.wav", wave, 2.0, ["a<b", "neu"], np.array([0.5, 1.5]), posteriors, stretches)
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<svg"), (".html", b"<!DOCTYPE html>")):
        write_timeline(tmp_path / f"out{suffix}", picture, stretches)
        assert (tmp_path / f"out{suffix}").read_bytes().startswith(magic)
    assert "<td>a&lt;b</td>" in (tmp_path / "out.html").read_text()
