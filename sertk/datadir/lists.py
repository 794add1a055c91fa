"""Kaldi's text maps: `utt2spk`, `utt2label`, `wav.scp` … one key and its value a line."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sertk.atomic import atomic_file
from sertk.errors import SertkError
from sertk.kaldi.keys import check_key

# Kaldi splits at ASCII white space only: a no-break space is part of a key.
_SPACE = re.compile(r"[ \t\r\f\v]+")


def read_lines(path, wanted: str = "", windows: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers, white space at both ends removed.

    wanted: what Windows' text is told of in a file that is none of Kaldi's
    windows: lines may end in CR LF
    Raises SertkError with file and line for what is not text.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise SertkError(f"{path}:{number}: not UTF-8 (byte {error.start} of the line)") from None
                if "\0" in text:
                    raise SertkError(f"{path}:{number}: a NUL byte: this is no text file")
                if text.endswith("\r\n") and not windows:
                    what = wanted or "Kaldi's lists end lines in LF"
                    raise SertkError(f"{path}:{number}: the line ends in CR LF (Windows); {what}")
                if number == 1 and text.startswith("\ufeff"):
                    what = wanted or "Kaldi would take it as part of the key"
                    raise SertkError(f"{path}:1: begins with a byte order mark (Windows); {what}")
                yield number, text.strip(" \t\r\n\f\v")
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None


def split_words(line: str) -> list[str]:
    """The words of a line, as Kaldi splits them: at ASCII white space."""
    return _SPACE.split(line) if line else []


def read_list(path, columns: int | None = 2) -> dict[str, str]:
    """A map of key to value, in the file's order.

    columns: how many words a line has: 2 for utt2spk; None for one or more words of value (wav.scp, spk2utt), which
    are then given as one string. In `text` a key alone is an empty transcript.
    Raises SertkError with file and line for a missing file, an empty one, an empty line, a wrong number of words, a
    key that comes twice, and what is not UTF-8.
    """
    least = 1 if Path(path).name == "text" else 2
    values: dict[str, str] = {}
    for number, line in read_lines(path):
        words = _SPACE.split(line, 1) if columns in (None, 2) else _SPACE.split(line)
        if not line:
            raise SertkError(f"{path}:{number}: an empty line")
        if columns is None:
            if len(words) < least:
                raise SertkError(f"{path}:{number}: '{line}' has a key and no value")
        elif len(words) != columns or (columns == 2 and _SPACE.search(words[1])):
            raise SertkError(
                f"{path}:{number}: {len(_SPACE.split(line))} columns where {columns} are wanted: '{line[:80]}'"
            )
        if words[0] in values:
            raise SertkError(f"{path}:{number}: key {words[0]} comes twice")
        values[words[0]] = " ".join(words[1:])
    if not values:
        raise SertkError(f"{path}: is empty")
    return values


def write_list(path, values: dict[str, str] | Iterable[tuple[str, str]]):
    """Write a map in LC_ALL=C order of its keys, atomically."""
    # The order of code points is the order of UTF-8 bytes.
    lines = sorted((str(key), str(value)) for key, value in dict(values).items())
    for key, value in lines:
        check_key(key, str(path))
        if (not value.strip() and Path(path).name != "text") or "\n" in value:
            raise SertkError(f"{path}: key {key}: value {value!r} cannot stand in a list")
    with atomic_file(path, "w") as file:
        file.writelines(f"{key} {value}".rstrip() + "\n" for key, value in lines)
