r"""The config.yaml that other toolkits write beside their checkpoints: its mappings and scalars, which is what is needed.

>>> parse("model_args:\n  feat_dim: 80  # bins\n  pooling_func: 'TSTP'\ncmvn: true")
{'model_args': {'feat_dim': 80, 'pooling_func': 'TSTP'}, 'cmvn': True}
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sertk.errors import SertkError

_WORDS = {"true": True, "false": False, "null": None, "~": None}
# 3D-Speaker's configs refer to their own values so: feat_dim: <fbank_dim>.
_REFERENCE = re.compile(r"<(\w+)>")


def read_config(path: Path) -> dict[str, Any]:
    """The mappings and scalars of a YAML file; lists are left out.

    Raises:
        SertkError: not text, or without any mapping.
    """
    try:
        config = parse(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise SertkError(f"{path}: not a text file") from None
    if not config:
        raise SertkError(f"{path}: not a YAML file of settings ('name: value' lines)")
    return config


def parse(text: str) -> dict[str, Any]:
    """Nested mappings of scalars, by indentation."""
    root: dict[str, Any] = {}
    open_mappings = [(-1, root)]
    for line in text.splitlines():
        words = re.sub(r"(^|\s)#.*$", "", line).strip()
        key, colon, value = words.partition(":")
        if not colon or words.startswith(("-", "%", "{", "[")) or (value and not value[0].isspace()):
            continue
        indent = len(line) - len(line.lstrip(" "))
        while indent <= open_mappings[-1][0]:
            open_mappings.pop()
        key, value = key.strip().strip("'\""), value.strip()
        if value and not re.fullmatch(r"&\w+", value):  # an anchor names what follows
            open_mappings[-1][1][key] = _scalar(value)
        else:
            open_mappings[-1][1][key] = inside = {}
            open_mappings.append((indent, inside))
    return root


def setting(config: Mapping[str, Any], *path: str, default: Any = None) -> Any:
    """The value at a path of names, with references resolved; `default` where there is none.

    Example:
        >>> setting({"fbank_dim": 80, "args": {"n_mels": "<fbank_dim>"}}, "args", "n_mels")
        80
    """
    value: Any = config
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, str) and (reference := _REFERENCE.fullmatch(value)):
        value = config.get(reference[1])
    return default if value is None else value


def _scalar(text: str) -> Any:
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        return text[1:-1]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
