"""What a table of vectors says of its origin, in its manifest: how the vectors were computed, by what, trained on what."""

from collections.abc import Mapping
from typing import Any

from sertk.errors import SertkError

# `trained_on` of vectors that no training made, such as functionals of a signal.
NOTHING = "nothing"
# Settings in which training draws differ from the vectors of whole segments, and what is no part of the vectors' space.
_NOT_COMPARED = (
    "trained_on", "precision", "draws", "augment", "seed", "chunk_frames", "padding", "mask_scope", "enrolled",
)  # fmt: skip


def space(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that two tables of vectors must share for one head to take both.

    Example:
        >>> space({"model": "5e1f", "at": "pool", "draws": 20, "precision": "bf16"})
        {'model': '5e1f', 'at': 'pool'}
    """
    return {name: value for name, value in settings.items() if name not in _NOT_COMPARED}


def check_space(expected: Mapping[str, Any], settings: Mapping[str, Any], where: str, model: str) -> None:
    """Check that vectors are of the space that a head was trained on; what either side does not record passes.

    Args:
        expected: space of the training vectors.
        settings: of the vectors, from their manifest.
        where: the vectors, for the message.
        model: the head, for the message.

    Raises:
        SertkError: naming the first setting that differs.
    """
    for name in sorted(expected.keys() & space(settings).keys()):
        if expected[name] != settings[name]:
            raise SertkError(
                f"{where}: vectors of other {name} than {model} was trained on: {_short(settings[name])}, expected"
                f" {_short(expected[name])}"
            )


def training_record(settings: Mapping[str, Any]) -> dict | None:
    """The training record of what computed the vectors (read by sertk.scoring.trainingrecords).

    Args:
        settings: of the table; `trained_on` is a record, words, or "nothing".

    Returns:
        None if no training was involved, {} if it is unknown.

    Example:
        >>> training_record({"trained_on": "nothing"}), training_record({}), training_record({"trained_on": "VoxCeleb2"})
        (None, {}, {'declared': 'VoxCeleb2'})
    """
    record = settings.get("trained_on", {})
    if isinstance(record, str):
        return None if record == NOTHING else {"declared": record}
    return dict(record)


def transductive(settings: Mapping[str, Any]) -> bool:
    """True if the vectors of a segment depend on other segments, normalised over groups: the test's, with or without a list."""
    return any(
        bool(value) if name == "transductive" else isinstance(value, Mapping) and transductive(value)
        for name, value in settings.items()
    )


def pasted(tables: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings of vectors that are put together from those of several tables.

    The network of each part is one that the vectors stem from: their records form a chain.
    """
    records = [record for record in map(training_record, tables) if record is not None]
    trained_on: dict | str = NOTHING
    for record in reversed(records):
        trained_on = record if trained_on == NOTHING else {"keys": [], "trunk": record, "init": trained_on}
    settings: dict[str, Any] = {"pasted": {str(number): space(table) for number, table in enumerate(tables, 1)}}
    # What the rows of a matrix are: versions of draws, or layers.
    rows = {name: table[name] for table in tables for name in ("augment", "layers") if len(table.get(name, ())) > 1}
    return settings | rows | {"trained_on": trained_on}


def _short(value: object) -> str:
    return str(value) if len(str(value)) <= 40 else f"{str(value)[:37]}…"
