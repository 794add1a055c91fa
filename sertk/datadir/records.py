"""Records of CSV, TSV, JSON and JSON Lines files: one dict per row, with the place that it came from; JSON objects."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.atomic import atomic_file
from sertk.errors import SertkError

_JSON = (".json", ".jsonl", ".ndjson")
# Separators of CSV files; the one that the header has most often counts.
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Record:
    """One row.

    Args:
        where: file and line (or number in a JSON list) for messages.
        values: by column.
        problem: why the row cannot be used; "" for others.
    """

    where: str
    values: Mapping[str, Any]
    problem: str = ""


def read_records(path: str | Path) -> Iterator[Record]:
    """Read the rows of a file.

    `.json` is a list of objects, or an object of objects (or of lists: column "value") whose keys become the column "key";
    `.jsonl` has an object per line; other files are CSV with a header, separated by commas, semicolons or tabs.

    Raises:
        SertkError: the file cannot be read, is not text, is empty, or its JSON is damaged.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SertkError(f"{path}: not UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise SertkError(f"{path}: a NUL byte: this is not a text file")
    if not text.strip():
        raise SertkError(f"{path}: is empty")
    rows = _json_rows(path, text) if path.suffix.lower() in _JSON else _csv_rows(path, text)
    yield from rows


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a file of one JSON object.

    Raises:
        SertkError: the file cannot be read, or is not a JSON object.
    """
    path = Path(path)
    try:
        content = _parsed(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SertkError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SertkError(f"{path}: not UTF-8 (byte {error.start})") from None
    if not isinstance(content, dict):
        raise SertkError(f"{path}: not a JSON object")
    return content


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a file of one JSON object, atomically. Raises SertkError if the file cannot be written."""
    with atomic_file(path, "w") as file:
        json.dump(content, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def column(values: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The value of the first column of these names, whatever its case; None if there is none.

    >>> column({"Emotion": "ang", "spk": "1"}, ["label", "emotion"])
    'ang'
    """
    lower = {str(name).strip().lower(): value for name, value in values.items()}
    return next((lower[name] for name in names if name in lower), None)


def composed(text: str) -> str:
    """The text with composed letters (NFC): macOS writes file names with decomposed ones.

    >>> composed("A\N{COMBINING DIAERESIS}")
    'Ä'
    """
    return unicodedata.normalize("NFC", text)


def plain(value: object) -> str:
    """The text of a value; "" for None, NaN and what pandas writes for a missing one.

    >>> plain(" ang "), plain(3), plain(None), plain(float("nan")), plain("NaT")
    ('ang', '3', '', '', '')
    """
    text = "" if value is None else " ".join(composed(str(value)).split())
    return "" if text.lower() in ("nan", "nat", "none", "null", "<na>") else text


def _csv_rows(path: Path, text: str) -> Iterator[Record]:
    header = text.lstrip().split("\n", 1)[0]
    separator = "\t" if path.suffix.lower() == ".tsv" else max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names: list[str] | None = None
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if not any(word.strip() for word in row):
                continue
            if names is None:
                names = [name.strip() for name in row]
                if len(set(names)) < len(names):
                    twice = next(name for name in names if names.count(name) > 1)
                    raise SertkError(f"{where}: column '{twice}' comes twice")
            elif len(row) != len(names):
                yield Record(where, {}, f"{len(row)} columns where the header has {len(names)}")
            else:
                yield Record(where, dict(zip(names, row)))
    except csv.Error as error:
        raise SertkError(f"{path}:{reader.line_num}: not CSV: {error}") from None


def _json_rows(path: Path, text: str) -> Iterator[Record]:
    if path.suffix.lower() == ".json":
        content = _parsed(text, str(path))
        if isinstance(content, dict) and content and all(isinstance(row, dict | list) for row in content.values()):
            content = [
                {"key": key, **(row if isinstance(row, dict) else {"value": row})} for key, row in content.items()
            ]
        if not isinstance(content, list):
            raise SertkError(f"{path}: neither a list of objects nor an object of objects")
        rows = ((f"{path}: entry {number}", row) for number, row in enumerate(content, 1))
    else:
        lines = ((f"{path}:{number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        rows = ((where, _parsed(line, where)) for where, line in lines)
    for where, row in rows:
        if isinstance(row, dict):
            yield Record(where, row)
        else:
            yield Record(where, {}, "not a JSON object")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SertkError(f"{where}: not JSON: {error}") from None
