"""A folder of two recordings, and scripts and segments files of them, for the tests of what reads them."""

import numpy as np
import pytest
import soundfile
from references import signal

SAMPLES = signal(2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a.wav, and b.wav of the opposite sign, both as flac too."""
    monkeypatch.chdir(tmp_path)
    for name, samples in (("a", SAMPLES), ("b", -SAMPLES)):
        soundfile.write(f"{name}.wav", samples.astype(np.int16), 16000)
        soundfile.write(f"{name}.flac", samples.astype(np.int16), 16000)
    return tmp_path


def table(text) -> str:
    """Write wav.scp; gives its rspecifier."""
    with open("wav.scp", "w") as file:
        file.write(text)
    return "scp:wav.scp"


def segments(text) -> str:
    """Write a segments file; gives its name."""
    with open("segments", "w") as file:
        file.write(text)
    return "segments"
