"""Types of arguments and options: truth values, numbers, specifiers, paths."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier, parse_wspecifier

_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
# Words that are read as the value of a truth option before them, also without '='; the last four are then refused.
TRUTH_WORDS = (*_TRUE, *_FALSE, "yes", "no", "on", "off")


class Bool(click.ParamType):
    """A truth value as Kaldi reads it (src/util/parse-options.cc, ToBool)."""

    name = "true|false"

    def convert(self, value: str | bool, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Convert true, t, 1, false, f or 0."""
        if isinstance(value, bool):
            return value
        if value.lower() not in _TRUE + _FALSE:
            self.fail(f"'{value}' is neither true nor false", param, ctx)
        return value.lower() in _TRUE


class _Numbers(click.ParamType):
    """A comma-separated list of numbers.

    Args:
        name: name of the type
        kind: int or float
        what: what the numbers must be, for the message
        valid: True for a list that is accepted
    """

    def __init__(self, name: str, kind: type, what: str, valid: Callable[[tuple[float, ...]], bool]) -> None:
        self.name, self.kind, self.what, self.valid = name, kind, what, valid

    def convert(
        self, value: str | Iterable[float], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Convert a text like 3,4,6,3 or 0.01,0.05."""
        if not isinstance(value, str):
            return tuple(value)
        try:
            numbers = tuple(self.kind(word) for word in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not self.valid(numbers):
            self.fail(f"'{value}' is not a comma-separated list of {self.what}", param, ctx)
        return numbers


class _Pairs(click.ParamType):
    """A comma-separated list of NAME=VALUE, each name once."""

    name = "NAME=VALUE,…"

    def convert(
        self, value: str | dict[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        """Convert a text like a=b,c=d."""
        if not isinstance(value, str):
            return value
        pairs = [word.strip().partition("=") for word in value.split(",")]
        names = [name for name, *_ in pairs]
        if not all(name and text for name, _, text in pairs) or len(set(names)) < len(names):
            self.fail(f"'{value}' is not NAME=VALUE,NAME=VALUE, each name once", param, ctx)
        return {name: text for name, _, text in pairs}


class _Parsed(click.ParamType):
    """A value that a function of sertk parses; its SertkError is misuse.

    Args:
        name: name of the type
        parse: turns the text into the value
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a text; other values are returned."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except SertkError as error:
            self.fail(str(error), param, ctx)


BOOL = Bool()
NUMBERS = _Numbers("N,N,…", int, "positive integers", lambda numbers: min(numbers) > 0)
DECIMALS = _Numbers("X,X,…", float, "numbers", lambda numbers: all(map(math.isfinite, numbers)))
PRIORS = _Numbers(
    "P,P,…",
    float,
    "different probabilities",
    lambda numbers: all(0 < number < 1 for number in numbers) and len(set(numbers)) == len(numbers),
)
WEIGHTS = _Numbers("W,W,…", float, "weights", lambda numbers: all(0 <= number < float("inf") for number in numbers))
PAIRS = _Pairs()
RSPECIFIER = _Parsed("rspecifier", parse_rspecifier)
WSPECIFIER = _Parsed("wspecifier", parse_wspecifier)


class _Path(click.Path):
    """A path; an empty one, as of an unset variable, is refused, since pathlib takes it for the current folder.

    Existence is checked when the file is opened, so that the exit status is 1 as in Kaldi.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert to a Path."""
        if value == "":
            self.fail("an empty name (is a variable not set?)", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(path_type=Path)
FOLDER = _Path(path_type=Path)
