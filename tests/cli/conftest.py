"""The toy sandbox, made once."""

import os
import shutil
from pathlib import Path

import pytest
import sandbox


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
