"""Fixtures of the binaries' tests: the toy sandbox, made once, and a folder of recordings."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import sandbox
import soundfile
from references import signal
from support import on_one_core


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with everything that the examples in the help name. Leave it as it is: `box` is a copy."""
    with on_one_core():
        folder = sandbox.make(tmp_path_factory.mktemp("made") / "box")
    before = files(folder)
    yield folder
    assert files(folder) == before  # by a test, or in place through a link of `linked_box`


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file under a folder."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def box(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, which is the current folder."""
    shutil.copytree(made, tmp_path / "box")
    monkeypatch.chdir(tmp_path / "box")
    with on_one_core():
        yield tmp_path / "box"


@pytest.fixture
def linked_box(made, tmp_path, monkeypatch) -> Path:
    """The same, of links, which are made faster; for what replaces files and never writes into one."""
    shutil.copytree(made, tmp_path / "box", copy_function=os.link)
    monkeypatch.chdir(tmp_path / "box")
    with on_one_core():
        yield tmp_path / "box"


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
