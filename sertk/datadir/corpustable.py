"""A corpus described by a table of its files (CSV, TSV, JSON Lines), as the maps of a data folder."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.datadir.corpusrows import Reading, Row, RowReader, word
from sertk.datadir.records import read_records
from sertk.errors import SertkError

# Lists that all utterances are in, or that are not written.
TRAITS = ("age", "race", "ethnicity")
WHOLE = ("session", "split", *TRAITS)
MAPS = (
    "wav.scp", "segments", "utt2spk", "spk2gender", "utt2label", "text", "utt2votes", *(f"utt2{name}" for name in WHOLE)
)  # fmt: skip


@dataclass(frozen=True)
class CorpusTable:
    """The maps of a data folder, and what did not fit.

    Args:
        maps: file name -> {key: value}; {} for lists that this corpus has not.
        problems: one line per row that is left out.
        rates: sample rate in Hz -> number of files.
        notes: one line per list that is not written since not all rows have its value.
        ignored: columns that are of no list.
    """

    maps: dict[str, dict[str, str]]
    problems: list[str]
    rates: Counter
    notes: list[str]
    ignored: list[str]


def read_corpus(tables: Sequence[Path], reading: Reading) -> CorpusTable:
    """Read tables of files as one corpus.

    Several tables without a column `split` are splits themselves, called by their files' names without suffix: EmoBox's
    test files of each fold, or nkululeko's train and test files.

    Raises:
        SertkError: a table cannot be read, lacks a column, or no row fits.
    """
    rows, problems, reader = [], [], RowReader(reading)
    for table in tables:
        for number, record in enumerate(read_records(table)):
            if not number and not record.problem:
                reader.check_columns(record, table)
            try:
                rows.append(reader.row(record, table))
            except SertkError as error:
                problems.append(f"{record.where}: {error}")
    if not rows:
        raise SertkError(f"{tables[0]}: no row fits" + (f": {problems[0]}" if problems else " (there are none)"))
    splits = len(tables) > 1 and not any(row.split for row in rows)
    keyed = _keyed(rows, problems)
    maps = _maps(keyed, splits)
    notes = _without_gaps(maps, len(keyed), list(reader.genders))
    rates = Counter(header.rate for header in {row.path: row.header for row in keyed.values()}.values())
    return CorpusTable(maps, problems, rates, notes, list(reader.ignored))


def _keyed(rows: Sequence[Row], problems: list[str]) -> dict[str, Row]:
    """Give each row its utterance id.

    Rows whose id or whose audio another row has, or whose speaker has two genders, become problems.
    """
    recording = _recording_ids({row.path for row in rows})
    keyed: dict[str, Row] = {}
    same_audio: dict[tuple, Row] = {}
    first_of: dict[str, Row] = {}
    for row in rows:
        name = row.name or recording[row.path]
        if row.start is not None and not row.name:
            name += f"-{round(100 * row.start):07d}-{round(100 * row.end):07d}"
        # The speaker and a hyphen first, so that utterances and speakers sort alike.
        key = name if not row.speaker or name.startswith(f"{row.speaker}-") else f"{row.speaker}-{name}"
        first = first_of.setdefault(row.speaker, row) if row.gender else row
        if key in keyed:
            problems.append(f"{row.where}: {row.path}: {key} comes twice (also {keyed[key].where})")
        elif (other := same_audio.setdefault((row.path, row.start, row.end), row)) is not row:
            problems.append(f"{row.where}: {row.path}: the same audio as {other.where}")
        elif row.speaker and row.gender != first.gender:
            problems.append(
                f"{row.where}: {row.path}: speaker {row.speaker} is '{row.gender}', '{first.gender}' before"
            )
        else:
            keyed[key] = row
    return keyed


def _recording_ids(paths: Iterable[Path]) -> dict[Path, str]:
    """A name for each file: its own, or its whole path below the folder that all share, if two have equal names."""
    paths = sorted(paths)
    stems = Counter(word(path.stem) for path in paths)
    if max(stems.values()) == 1:
        return {path: word(path.stem) for path in paths}
    shared = Path(os.path.commonpath([path.parent for path in paths]))
    names = {path: word(str(path.relative_to(shared).with_suffix("")).replace("/", "-")) for path in paths}
    if len(set(names.values())) < len(names):  # x.wav beside x.flac
        names = {path: word(str(path.relative_to(shared)).replace("/", "-")) for path in paths}
    return names


def _maps(keyed: Mapping[str, Row], splits: bool) -> dict[str, dict[str, str]]:
    maps: dict[str, dict[str, str]] = {name: {} for name in MAPS}
    segmented = any(row.start is not None for row in keyed.values())
    recording = _recording_ids({row.path for row in keyed.values()})
    for key, row in keyed.items():
        if segmented:
            maps["wav.scp"][recording[row.path]] = str(row.path)
            end = row.header.seconds if row.end is None else row.end
            maps["segments"][key] = f"{recording[row.path]} {row.start or 0:.3f} {-1 if end is None else f'{end:.3f}'}"
        else:
            maps["wav.scp"][key] = str(row.path)
        speaker = maps["utt2spk"][key] = row.speaker or key
        maps["utt2label"][key] = row.label
        if row.gender:
            maps["spk2gender"][speaker] = row.gender
        split = Path(row.where.rpartition(":")[0]).stem if splits else row.split
        columns = {"utt2session": row.session, "text": row.text, "utt2votes": row.votes, "utt2split": split}
        columns |= {f"utt2{name}": getattr(row, name) for name in TRAITS}
        for name, value in columns.items():
            if value:
                maps[name][key] = value
    if maps["text"]:
        maps["text"] = {key: maps["text"].get(key, "") for key in keyed}
    return maps


def _without_gaps(maps: dict[str, dict[str, str]], rows: int, genders: list[str]) -> list[str]:
    """Empty the lists that lack an utterance or speaker, and say so in a line each.

    Args:
        maps: as `_maps` makes them.
        rows: number of utterances.
        genders: values that are neither f nor m.
    """
    notes = []
    for name in WHOLE:
        found = maps[f"utt2{name}"]
        if 0 < len(found) < rows:
            notes.append(f"no utt2{name}: {rows - len(found)} of {rows} rows have no {name}")
        maps[f"utt2{name}"] = found if len(found) == rows else {}
    found, speakers = maps["spk2gender"], len(set(maps["utt2spk"].values()))
    if len(found) < speakers:
        if found or genders:
            others = f" ('{genders[0]}' is neither f nor m)" if genders else ""
            notes.append(f"no spk2gender: {speakers - len(found)} of {speakers} speakers have no gender{others}")
        maps["spk2gender"] = {}
    elif genders:
        notes.append(f"gender '{genders[0]}' is neither f nor m: that of the speaker's other rows counts")
    return notes
