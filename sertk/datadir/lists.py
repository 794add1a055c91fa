"""Kaldi's text maps (`utt2spk`, `utt2label`, `wav.scp`, …): one key and its value a line."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sertk.atomic import atomic_file
from sertk.errors import SertkError
from sertk.kaldi.keys import check_key

# Kaldi splits at ASCII white space only: a no-break space is part of a key.
_SPACE = re.compile(r"[ \t\r\f\v]+")

# Number of columns of a list: exactly this many, from least to most, or None for two or more (`text`: one or more).
Columns = int | tuple[int, int] | None


def read_lines(path: str | os.PathLike, file_form: str = "", windows: bool = False) -> Iterator[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, white space at both ends removed.

    Args:
        path: the file.
        file_form: replaces "Kaldi's lists …" in messages about line ends and byte order marks, for files that are not
            Kaldi's.
        windows: lines may end in CR LF.

    Yields:
        (line number from 1, text).

    Raises:
        SertkError: the file cannot be read or is not UTF-8 text; the message names file and line.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise SertkError(f"{path}:{number}: not UTF-8 (byte {error.start} of the line)") from None
                if "\0" in text:
                    raise SertkError(f"{path}:{number}: a NUL byte: this is not a text file")
                if text.endswith("\r\n") and not windows:
                    reason = file_form or "Kaldi's lists end lines in LF"
                    raise SertkError(f"{path}:{number}: the line ends in CR LF (Windows); {reason}")
                if number == 1 and text.startswith("\ufeff"):
                    reason = file_form or "Kaldi would read it as part of the key"
                    raise SertkError(f"{path}:1: begins with a byte order mark (Windows); {reason}")
                yield number, text.strip(" \t\r\n\f\v")
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None


def split_words(line: str) -> list[str]:
    """Split a line as Kaldi does, at ASCII white space."""
    return _SPACE.split(line) if line else []


def column_problem(path: str | os.PathLike, count: int, columns: Columns) -> str | None:
    """The error message for a line of `count` columns, None if that many are allowed.

    Example:
        >>> column_problem("utt2spk", 3, 2), column_problem("segments", 6, (4, 5))
        ('3 columns, expected 2', '6 columns, expected 4 or 5')
    """
    if columns is None:
        if count >= 2:
            return None
        least = 1 if Path(path).name == "text" else 2  # a key alone is an empty transcript
        return f"{count} columns, expected at least {least}" if count < least else None
    least, most = columns if isinstance(columns, tuple) else (columns, columns)
    if least <= count <= most:
        return None
    return f"{count} columns, expected {least if least == most else f'{least} or {most}'}"


def read_list(path: str | os.PathLike, columns: Columns = 2) -> dict[str, str]:
    """Read a map of key to value, in the file's order.

    Args:
        path: the file.
        columns: words a line, 2 for utt2spk. With None (wav.scp, spk2utt) the value is all words after the key, with
            their inner white space.

    Raises:
        SertkError: the file is missing or empty, or has an empty line, a wrong number of columns, a duplicate key or
            bytes that are not UTF-8; the message names file and line.
    """
    values: dict[str, str] = {}
    for number, line in read_lines(path):
        if not line:
            raise SertkError(f"{path}:{number}: an empty line")
        words = _SPACE.split(line, 1) if columns is None else _SPACE.split(line)
        if problem := column_problem(path, len(words), columns):
            problem = f"'{line}' has a key and no value" if columns is None else f"{problem}: '{line[:80]}'"
            raise SertkError(f"{path}:{number}: {problem}")
        if words[0] in values:
            raise SertkError(f"{path}:{number}: key {words[0]} comes twice")
        values[words[0]] = " ".join(words[1:])
    if not values:
        raise SertkError(f"{path}: is empty")
    return values


def read_names(path: str | os.PathLike) -> set[str]:
    """Names in the first column of a file; empty lines are skipped.

    Raises:
        SertkError: the file cannot be read or has no names.
    """
    names = {split_words(line)[0] for _, line in read_lines(path) if line}
    if not names:
        raise SertkError(f"{path}: is empty")
    return names


def write_list(path: str | os.PathLike, values: dict[str, str] | Iterable[tuple[str, str]]) -> None:
    """Write a map in LC_ALL=C order of its keys, atomically.

    Raises:
        SertkError: a key or value could not be read back; nothing is written.
    """
    lines = list_lines(path, values)
    with atomic_file(path, "w") as file:
        file.writelines(line for _, line in lines)


def list_lines(path: str | os.PathLike, values: dict[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(key, line) of each entry of a map, in LC_ALL=C order of the keys.

    Raises:
        SertkError: a key or value could not be read back.
    """
    # The order of code points is the order of UTF-8 bytes.
    lines = sorted((str(key), str(value)) for key, value in dict(values).items())
    for key, value in lines:
        check_key(key, str(path))
        if (not value.strip() and Path(path).name != "text") or "\n" in value:
            raise SertkError(f"{path}: key {key}: value {value!r} cannot stand in a list")
    return [(key, f"{key} {value}".rstrip() + "\n") for key, value in lines]
