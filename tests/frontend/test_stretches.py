"""Windows of recordings and streams, raw PCM, and levels."""

import io

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.frontend.stretches import level, pcm_blocks, stretches, windows


def spans(total, size, step, block):
    samples = np.arange(total, dtype=np.float32)
    found = []
    for first, window in windows((samples[k : k + block] for k in range(0, total, block)), size, step):
        assert np.array_equal(window, samples[first : first + len(window)])
        found.append((first, first + len(window)))
    return found


@pytest.mark.parametrize("block", [1, 3, 7, 100])
@pytest.mark.parametrize(("total", "expected"), [
    (0, []),
    (3, [(0, 3)]),
    (4, [(0, 4)]),
    (5, [(0, 4), (1, 5)]),  # the last one ends where the recording does
    (8, [(0, 4), (2, 6), (4, 8)]),
    (9, [(0, 4), (2, 6), (4, 8), (5, 9)]),
])  # fmt: skip
def test_windows_are_the_same_in_any_blocks(total, expected, block):
    assert spans(total, 4, 2, block) == expected


def test_a_window_is_there_as_soon_as_it_is_complete():
    seen = []

    def blocks():
        for k in range(5):
            seen.append(k)
            yield np.full(2, k, np.float32)

    found = windows(blocks(), 4, 2)
    assert next(found)[0] == 0 and seen == [0, 1]
    assert next(found)[0] == 2 and seen == [0, 1, 2]


def test_stretches_have_seconds_and_names():
    whole = list(stretches("a.wav", [np.zeros(8)], 4))
    assert [(s.start, s.end, str(s)) for s in whole] == [(0, 2, "a.wav")]
    cut = list(stretches("a.wav", iter([np.zeros(8)]), 4, window=1.0))
    assert [(s.start, s.end) for s in cut] == [(0, 1), (1, 2)]
    assert str(cut[1]) == "a.wav from 1.00 to 2.00 s"
    assert len(cut[0].take()) == 4 and cut[0].samples is None


class Trickle(io.RawIOBase):
    """A pipe that gives three bytes at a time."""

    def __init__(self, content):
        self.content = content

    def read1(self, _):
        first, self.content = self.content[:3], self.content[3:]
        return first


def test_pcm_is_read_across_odd_pieces():
    samples = np.array([1, -2, 300, -32768, 32767], "<i2")
    blocks = list(pcm_blocks(Trickle(samples.tobytes() + b"\1")))  # ends within a sample
    assert np.concatenate(blocks).tolist() == samples.tolist() and len(blocks) > 2


def test_a_header_is_not_taken_for_samples():
    with pytest.raises(SertkError, match="leave --rate out"):
        list(pcm_blocks(io.BufferedReader(io.BytesIO(b"RIFF" + bytes(100)))))


def test_levels_worked_by_hand():
    """A square wave of half of full scale has 20 log10(0.5); an offset and a click do not count."""
    square = np.tile(np.float32([16384, -16384]), 8000)
    assert level(square, 16000) == pytest.approx(-6.0206, abs=1e-3)
    assert level(square / 16 + 2000, 16000) == pytest.approx(-6.0206 - 24.082, abs=1e-2)
    click = np.zeros(16000, np.float32)
    click[8000:8010] = 32767
    assert level(click, 16000) < -50 and level(np.zeros(16000), 16000) == pytest.approx(-120)
    assert level(np.zeros(1), 16000) == pytest.approx(-120)
