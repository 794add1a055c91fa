"""Reading learning curves: the epoch records of a run's train.jsonl."""

import json
from pathlib import Path

from sertk.errors import SertkError


def read_histories(folder: Path) -> dict[str, list[dict]]:
    """Read train.jsonl of a folder and of its folds.

    Args:
        folder: run folder.

    Returns:
        fold ("" for the folder itself) -> epoch records.

    Raises:
        SertkError: as `read_history`.
    """
    paths = [folder / "train.jsonl", *folder.glob("*/train.jsonl")]
    names = {path: path.parent.name if path.parent != folder else "" for path in paths if path.exists()}
    chosen = [path for path, name in names.items() if not name or name.isdigit()]
    return {names[path]: read_history(path) for path in sorted(chosen, key=lambda path: names[path].zfill(4))}


def read_history(path: Path) -> list[dict]:
    """Read the epoch records of a train.jsonl.

    Raises:
        SertkError: a record lacks epoch or loss, or a value is not a number.
    """
    records = read_json_lines(path)
    for number, record in enumerate(records, 1):
        for name in ("epoch", "loss"):
            if record.get(name) is None:
                raise SertkError(f"{path}:{number}: epoch record without '{name}'")
        for name, value in record.items():
            if not _is_number(value):
                raise SertkError(f"{path}:{number}: '{name}' is {json.dumps(value)[:80]}, expected a number")
        if not (isinstance(record["epoch"], int) and record["epoch"] > 0):
            raise SertkError(f"{path}:{number}: 'epoch' is {record['epoch']}, expected 1, 2, …")
    return records


def _is_number(value: object) -> bool:
    """True for a number that can be plotted, and for null (not recorded)."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return value is None or isinstance(value, float)


def read_json_lines(path: Path) -> list[dict]:
    """Read JSON objects, one per line. Raises SertkError with file and line."""
    records = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            record = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise SertkError(f"{path}:{number}: not a JSON object: {error}") from None
        if not isinstance(record, dict):
            raise SertkError(f"{path}:{number}: not a JSON object: {json.dumps(record)[:80]}")
        records.append(record)
    return records
