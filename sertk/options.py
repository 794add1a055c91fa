"""Command-line options declared as dataclass fields: default, help and bounds in one place."""

from dataclasses import field, fields
from typing import Any, TypeVar

Settings = TypeVar("Settings")
# Largest part of its input that a binary may skip before it fails.
MAX_SKIP = 0.05


def option(default: Any, help: str, **declared: Any) -> Any:
    """Declare a dataclass field that is also a command-line option.

    Args:
        default: of the field and of the option.
        help: line for --help.
        declared: further properties that sertk.cli.generated reads: `choices`, bounds `least`, `most` (exclusive: `above`,
            `below`), `metavar`, `kind`, further `names`, and `unset`: the option has no default, and --help shows this text
            instead.
    """
    return field(default=default, metadata={"help": help, **declared})


def take_options(kind: type[Settings], options: dict[str, Any]) -> Settings:
    """Build a dataclass of options from parsed ones, which are removed from `options`; None means the field's default.

    Args:
        kind: the dataclass.
        options: by name.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Size:
        ...     bins: int = option(128, "Bins.")
        >>> options = {"bins": None, "seed": 0}
        >>> take_options(Size, options), options
        (Size(bins=128), {'seed': 0})
    """
    values = {f.name: options.pop(f.name) for f in fields(kind) if f.name in options}
    return kind(**{name: value for name, value in values.items() if value is not None})
