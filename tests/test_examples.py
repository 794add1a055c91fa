"""The examples in the docstrings give what they print."""

import doctest
import importlib

import pytest
from support import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "sertk").rglob("*.py")
    if ">>>" in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_give_what_they_print(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried and not failed
