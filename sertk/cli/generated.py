"""Command-line options generated from the dataclasses that hold their defaults (sertk.options.option)."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import click

from sertk.cli.options import group
from sertk.cli.types import BOOL, DECIMALS, FILE, FOLDER, NUMBERS, RSPECIFIER
from sertk.errors import SertkError


class _Policies(click.ParamType):
    """A comma-separated list of mask policies."""

    name = "NAME,NAME,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Check the policies."""
        names = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
        from sertk.data.masks import parse_policy

        try:
            for name in names:
                parse_policy(name)
        except SertkError as error:
            self.fail(str(error), param, ctx)
        return names


class _Names(click.ParamType):
    """A comma-separated list of names, each given once."""

    name = "NAME,NAME,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split the list."""
        names = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
        if "" in names or len(set(names)) < len(names):
            self.fail(f"'{value}': must be names separated by commas, each once", param, ctx)
        return names


KINDS = {
    "policies": _Policies(),
    "names": _Names(),
    "numbers": DECIMALS,
    "file": FILE,
    "folder": FOLDER,
    "rspecifier": RSPECIFIER,
    "size": click.IntRange(0),
}


def options_of(settings: type, title: str, *names: str) -> Callable:
    """Decorator that adds options which a dataclass declares.

    Args:
        settings: the dataclass.
        title: heading of the options in --help.
        names: fields to add; without names, all that are options.
    """
    declared = {field.name: field for field in fields(settings) if "help" in field.metadata}
    return group(title, *(option_of(declared[name]) for name in names or declared))


def option_of(field: Field) -> Callable:
    """Decorator that adds the option which a dataclass field declares."""
    declared = field.metadata
    flags = [f"--{field.name.replace('_', '-')}", *declared.get("names", ())]
    unset = declared.get("unset")
    text = declared["help"] + (f"  [default: {unset}]" if unset else "")
    default = None if unset else _as_typed(field.default)
    return click.option(
        *flags,
        field.name,
        type=_kind(field),
        default=default,
        show_default=default is not None,
        help=text,
        metavar=declared.get("metavar"),
    )


def _kind(field: Field) -> click.ParamType:
    declared, default = field.metadata, field.default
    if "choices" in declared:
        return click.Choice(declared["choices"])
    if "kind" in declared:
        return KINDS[declared["kind"]]
    if isinstance(default, bool):
        return BOOL
    if isinstance(default, tuple):
        return NUMBERS
    bounds = {
        "min": declared.get("least", declared.get("above")),
        "max": declared.get("most", declared.get("below")),
        "min_open": "above" in declared,
        "max_open": "below" in declared,
    }
    if isinstance(default, int):
        return click.IntRange(**bounds)
    return click.FloatRange(**bounds) if isinstance(default, float) else click.STRING


def _as_typed(default: object) -> object:
    if default is MISSING or isinstance(default, Path):
        return None
    return ",".join(map(str, default)) if isinstance(default, tuple) else default
