"""The folder of experiments that the tests of reports read, made once."""

from pathlib import Path

import pytest
from report_folder import make

import sertk.report.lettering as lettering
from sertk.report.systems import find_experiments


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("systems")
    make(root)
    return root


@pytest.fixture(scope="session")
def experiments(root):
    return find_experiments(root / "exp")


@pytest.fixture
def only_dejavu(monkeypatch):
    """As on a machine without other fonts, which warns anew in every test."""
    monkeypatch.setattr(lettering, "_fonts", lambda: ())
    monkeypatch.setattr(lettering, "_warned", set())
    lettering._family_of.cache_clear()
    yield
    lettering._family_of.cache_clear()
