"""The folder of experiments that the tests of reports read, made once."""

from pathlib import Path

import pytest
from report_folder import make

from sertk.report.systems import find_experiments


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("systems")
    make(root)
    return root


@pytest.fixture(scope="session")
def experiments(root):
    return find_experiments(root / "exp")
