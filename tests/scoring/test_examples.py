"""The examples in the docstrings run."""

import doctest
import importlib

import pytest
from support import ROOT

MODULES = sorted(path.stem for path in (ROOT / "sertk" / "scoring").glob("*.py") if ">>>" in path.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_give_what_they_print(name):
    failed, tried = doctest.testmod(importlib.import_module(f"sertk.scoring.{name}"))
    assert tried and not failed
