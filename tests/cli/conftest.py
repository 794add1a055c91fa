"""Fixtures of the binaries' tests: the toy sandbox, made once, and a folder of recordings."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import sandbox
import soundfile
from references import signal


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with everything that the examples in the help name. Leave it as it is: `box` is a copy."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return sandbox.make(tmp_path_factory.mktemp("made") / "box")
    finally:
        os.sched_setaffinity(0, cores)


@pytest.fixture
def box(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, which is the current folder. One core: a toy network on several spends its time in waiting."""
    folder = tmp_path / "box"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield folder
    os.sched_setaffinity(0, cores)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Ten recordings as wav and flac, and wav.scp."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for i in range(10):
        name = f"u{i}.{'flac' if i % 3 == 1 else 'wav'}"
        soundfile.write(name, signal(1.5)[: 8000 + 1600 * i].astype(np.int16), 16000)
        lines.append(f"u{i} {name}\n")
    (tmp_path / "wav.scp").write_text("".join(lines))
    return tmp_path
