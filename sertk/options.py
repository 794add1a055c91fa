"""Command-line options as dataclass fields: default, help and bounds stand once; the binaries' options are generated."""

from dataclasses import field, fields
from typing import Any, TypeVar

Settings = TypeVar("Settings")
# The part of its input that a binary may skip before it fails.
MAX_SKIP = 0.05


def option(default: Any, help: str, **declared: Any) -> Any:
    """A dataclass field that is a command-line option too.

    Args:
        default: of field and option.
        help: a line for --help.
        declared: what else sertk.cli.generated takes: `choices`, `least`, `most` (`above`, `below`: exclusive),
            `metavar`, `kind`, further `names`, and `unset`: the option has no default of its own, and --help shows
            this text for it.
    """
    return field(default=default, metadata={"help": help, **declared})


def taken(kind: type[Settings], options: dict[str, Any]) -> Settings:
    """An instance of a dataclass of options, whose fields are taken out of `options`; an unset one has its default.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Size:
        ...     bins: int = option(128, "Bins.")
        >>> options = {"bins": None, "seed": 0}
        >>> taken(Size, options), options
        (Size(bins=128), {'seed': 0})
    """
    values = {f.name: options.pop(f.name) for f in fields(kind) if f.name in options}
    return kind(**{name: value for name, value in values.items() if value is not None})
