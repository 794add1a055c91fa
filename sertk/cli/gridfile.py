"""Grid files: lines of --name=value,value… with the settings that transfer-head --grid chooses from."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from sertk.datadir.lists import read_lines
from sertk.errors import SertkError
from sertk.training.grid import GRIDABLE, Grid


def read_grid(path: Path, params: Iterable[click.Parameter]) -> Grid:
    """Read a grid file.

    Args:
        path: the file; # starts a comment.
        params: of the binary, whose types check the values.

    Raises:
        SertkError: names file and line of a setting that cannot be in a grid, or has a wrong value, or comes twice.
    """
    options = {f"--{param.name.replace('_', '-')}": param for param in params if param.name in GRIDABLE}
    values: dict[str, list[Any]] = {}
    for number, line in read_lines(path, "a grid file is UTF-8", windows=True):
        line = line.split("#")[0].strip()
        if not line:
            continue
        flag, _, text = (word.strip() for word in line.partition("="))
        option = options.get(flag.replace("_", "-").lower())
        if option is None:
            raise SertkError(f"{path}:{number}: no setting of a grid: '{line}' (possible: {' '.join(options)})")
        if option.name in values:
            raise SertkError(f"{path}:{number}: {flag} comes twice")
        values[option.name] = [_value(word.strip(), option, f"{path}:{number}: {flag}") for word in text.split(",")]
        if len(set(values[option.name])) < len(values[option.name]):
            raise SertkError(f"{path}:{number}: {flag}: a value comes twice")
    if not values:
        raise SertkError(f"{path}: no line of --name=value,value…")
    return Grid(values)


def _value(word: str, option: click.Parameter, where: str) -> Any:
    try:
        value = option.type.convert(word, option, None)
    except click.BadParameter as error:
        raise SertkError(f"{where}: {error.message}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise SertkError(f"{where}: {word} is not a finite number")
    return value
