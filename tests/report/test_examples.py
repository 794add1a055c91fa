"""The examples in the report's docstrings run."""

import doctest
import importlib

import pytest
from support import ROOT

MODULES = sorted(path.stem for path in (ROOT / "sertk" / "report").glob("*.py") if ">>>" in path.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    failed, tried = doctest.testmod(importlib.import_module(f"sertk.report.{name}"))
    assert tried and not failed
