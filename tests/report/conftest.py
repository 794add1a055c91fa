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


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """A folder whose results are stamped SIMULATED. Leave it as it is."""
    root = tmp_path_factory.mktemp("report")
    make(root, stamps=("SIMULATED",))
    return root


@pytest.fixture(scope="session")
def page(original):
    """The page, its Markdown and its folder, made once."""
    from sertk.report.build import Choices, build_report
    from sertk.report.render import write_report

    out = original / "out"
    write_report(build_report(original / "exp", Choices(data=original / "data")), out)
    return (out / "report.html").read_text(), (out / "report.md").read_text(), out


@pytest.fixture
def only_dejavu(monkeypatch):
    """As on a machine without other fonts, which warns anew in every test."""
    monkeypatch.setattr(lettering, "_fonts", lambda: ())
    monkeypatch.setattr(lettering, "_warned", set())
    lettering._family_of.cache_clear()
    yield
    lettering._family_of.cache_clear()
