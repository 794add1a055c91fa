"""Rows of a table of a corpus's files: columns, times, labels, speakers and votes, checked.

The columns are those that other toolkits write: nkululeko and audformat (`file`, `start`, `end`, `speaker`, `emotion`,
`gender`), EmoBox (`key`, `wav`, `emo`), NeMo (`audio_filepath`), Hugging Face's AudioFolder (`file_name`).
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sertk.datadir.records import Record, column, composed, plain
from sertk.errors import SertkError
from sertk.frontend.header import AudioHeader, read_header
from sertk.kaldi.filenames import parse_rxfilename

# Field -> names of its column, the first one that a table has counts.
COLUMNS = {
    "file": ("file", "path", "wav", "audio", "file_name", "filename", "audio_filepath"),
    "speaker": ("speaker", "spk", "speaker_id", "spk_id", "speakerid"),
    "emotion": ("emotion", "emo", "label"),
    "id": ("id", "key", "utterance", "utt"),
    "start": ("start",),
    "end": ("end",),
    "session": ("session",),
    "text": ("text", "transcription", "transcript"),
    "gender": ("gender", "sex"),
    "age": ("age",),
    "race": ("race",),
    "ethnicity": ("ethnicity",),
    "votes": ("votes",),
    "split": ("split", "fold"),
}
NEEDED = ("file", "speaker", "emotion")
_GENDERS = {"m": "m", "male": "m", "man": "m", "f": "f", "female": "f", "woman": "f"}
# "1.5", "00:00:01.5", and pandas' "0 days 00:00:01.500000".
_TIME = re.compile(r"(?:(\d+) days?)? *(?:(\d+):(\d+):)?(\d+(?:\.\d+)?)?")
# The overshoot that make-fbank allows by default, in seconds.
MAX_OVERSHOOT = 0.5


@dataclass(frozen=True)
class Reading:
    """How a table is read.

    Args:
        root: folder that file names are relative to; None: the table's own.
        columns: field -> name of its column, for names that COLUMNS does not have.
        speaker_from: expression whose first group (or whole match) in a file name is the speaker, for tables without.
        unknown_speakers: accept rows without a speaker; each utterance is then its own.
    """

    root: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    speaker_from: str | None = None
    unknown_speakers: bool = False


@dataclass(frozen=True)
class Row:
    """A row that fits. `start` and `end` are seconds, None for the whole file; "" is a missing text."""

    where: str
    path: Path
    header: AudioHeader
    speaker: str
    label: str
    name: str
    start: float | None
    end: float | None
    session: str
    text: str
    gender: str
    votes: str
    split: str
    age: str
    race: str
    ethnicity: str


class RowReader:
    """Reads rows; a file's header is read once."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.headers: dict[Path, AudioHeader] = {}
        self.spelling: dict[str, str] = {}  # speaker in keys -> in the table
        self.ignored: dict[str, None] = {}  # columns of no field
        self.genders: dict[str, None] = {}  # values of that column that are neither f nor m

    def names(self, name: str) -> tuple[str, ...]:
        """Names of a field's column, in lower case."""
        own = self.reading.columns.get(name)
        return (own.lower(),) if own else COLUMNS[name]

    def check_columns(self, record: Record, table: Path) -> None:
        """Raise SertkError if a table's first row lacks a column that is needed, or one that --columns names.

        Notes the columns that are none of a field's.
        """
        known = {name for field in COLUMNS for name in self.names(field)}
        self.ignored |= dict.fromkeys(str(n).strip() for n in record.values if str(n).strip().lower() not in known)
        for name in {**dict.fromkeys(NEEDED), **self.reading.columns}:
            spared = name == "speaker" and name not in self.reading.columns
            spared &= bool(self.reading.speaker_from or self.reading.unknown_speakers)
            if not spared and column(record.values, self.names(name)) is None:
                there = ", ".join(map(str, record.values))
                raise SertkError(
                    f"{table}: no column '{' or '.join(self.names(name))}' (it has {there}; --columns {name}=NAME names it)"
                )

    def row(self, record: Record, table: Path) -> Row:
        """Read a row. Raises SertkError for one that does not fit."""
        if record.problem:
            raise SertkError(record.problem)
        raw = {name: column(record.values, self.names(name)) for name in COLUMNS}
        values = {name: plain(value) for name, value in raw.items()}
        if not values["file"]:
            raise SertkError("no file")
        name = str(raw["file"]).strip()  # spaces within it are part of it
        if not values["emotion"]:
            raise SertkError(f"{name}: no label")
        speaker = self._speaker(values)
        path = Path(os.path.abspath((self.reading.root or table.parent) / name))
        if parse_rxfilename(str(path)).kind != "file":
            raise SertkError(f"{name}: wav.scp would read this name as a pipe or an offset: rename it")
        if path not in self.headers:
            self.headers[path] = read_header(path)
        start, end = _span(values, self.headers[path])
        gender = _GENDERS.get(values["gender"].lower(), "")
        if values["gender"] and not gender:
            self.genders[values["gender"]] = None
        return Row(
            record.where, path, self.headers[path], speaker, word(values["emotion"]), word(values["id"]), start, end,
            word(values["session"]), values["text"], gender, _votes(raw["votes"]),
            word(values["split"]), word(values["age"]), word(values["race"]), word(values["ethnicity"]),
        )  # fmt: skip

    def _speaker(self, values: Mapping[str, str]) -> str:
        """The speaker of a row as it stands in keys, "" if unknown."""
        name, pattern = values["speaker"], self.reading.speaker_from
        if not name and pattern and (match := re.search(pattern, values["file"])):
            name = (match[1] if match.re.groups else match[0]) or ""
        if not name:
            if self.reading.unknown_speakers:
                return ""
            raise SertkError(f"{values['file']}: no speaker (--speaker-from takes it from file names)")
        # The hyphen ends the speaker in an utterance's id.
        speaker = word(name).replace("-", "_")
        other = self.spelling.setdefault(speaker, name)
        if other != name:
            raise SertkError(f"{values['file']}: speakers '{other}' and '{name}' would both be {speaker}: rename one")
        return speaker


def word(text: str) -> str:
    """One word that may stand in a key.

    >>> word("Anna B./2")
    'Anna_B._2'
    """
    return re.sub(r"[^\w.@+=-]", "_", composed(text))


def _span(values: Mapping[str, str], header: AudioHeader) -> tuple[float | None, float | None]:
    """Start and end of a segment in seconds, (None, None) for a whole file. Raises SertkError."""
    start, end = (_seconds(values[name], name) for name in ("start", "end"))
    if not start and end is None:
        return None, None
    length = header.seconds
    start, end = start or 0.0, end if end is not None else length
    if end is None:
        raise SertkError(f"{values['file']}: no end, and its length is not in its header")
    if end <= start:
        raise SertkError(f"{values['file']}: from {start:g} to {end:g} s is not a time span")
    if length is not None and end > length + MAX_OVERSHOOT:
        raise SertkError(f"{values['file']}: ends at {end:g} s, the file at {length:.2f} s")
    return start, end


def _seconds(text: str, name: str) -> float | None:
    """Seconds of a time, None for "".

    >>> _seconds("0 days 00:01:02.5", "start"), _seconds("1.25", "end"), _seconds("0 days", "start")
    (62.5, 1.25, 0.0)
    """
    match = _TIME.fullmatch(text)
    if not match:
        raise SertkError(f"{name} '{text[:40]}' is not a time (1.5, 00:00:01.5, 0 days 00:00:01.5)")
    if not text:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _votes(value: object) -> str:
    """The value of utt2votes: of a list of labels, or of labels separated by ; , | or spaces. Raises SertkError.

    >>> _votes("ang;ang;neu"), _votes('["ang", "very sad"]'), _votes({"anna": "ang"})
    ('E1=ang E2=ang E3=neu', 'E1=ang E2=very_sad', 'E1=ang')
    """
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except ValueError:
            raise SertkError(f"votes '{value[:40]}' are not JSON") from None
    if isinstance(value, dict):
        value = list(value.values())
    labels = value if isinstance(value, list) else re.split(r"[;,|\s]+", plain(value))
    words = [word(label.rpartition("=")[2]) for label in map(plain, labels) if label]
    return " ".join(f"E{number}={label}" for number, label in enumerate(words, 1))
