"""Scripts (scp files): a key and where its value lies on each line."""

from collections.abc import Iterator
from typing import NamedTuple

from sertk.errors import SertkError, error_context
from sertk.kaldi.keys import KeyOrder
from sertk.kaldi.ranges import split_range
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import open_input


class Entry(NamedTuple):
    """A script's line: `name` is the rxfilename without its range; `label` and `number` are the script and the line."""

    key: str
    name: str
    range: str | None
    label: str
    number: int

    @property
    def where(self) -> str:
        return f"{self.label}:{self.number}: key {self.key}"

    @property
    def full_name(self) -> str:
        return self.name if self.range is None else f"{self.name}[{self.range}]"


def read_script(source: Rspecifier) -> Iterator[Entry]:
    """The lines of a script; SertkError for a malformed one, a key that comes twice or out of the promised order."""
    check = KeyOrder(source)
    with open_input(source.filename) as stream:
        number = 0
        while line := stream.readline():
            number += 1
            try:
                key, name = line.split(None, 1)
                entry = Entry(key.decode(), name.rstrip().decode(), None, stream.label, number)
            except UnicodeDecodeError:
                raise SertkError(f"{stream.label}:{number}: not UTF-8") from None
            except ValueError:
                text = line[:80].decode("utf-8", "replace").strip()
                raise SertkError(f"{stream.label}:{number}: a key and a file name are wanted: '{text}'") from None
            if not check.good(entry.key):
                raise SertkError(f"{entry.where}: {check.reason(entry.key)}")
            if entry.name.endswith("]"):
                with error_context(entry.where):
                    name, text = split_range(entry.name)
                entry = entry._replace(name=name, range=text)
            yield entry


def script_entries(source: Rspecifier | str) -> Iterator[tuple[str, str]]:
    """(key, rxfilename with its range) of each line of a `scp:` table: for wav.scp."""
    source = as_rspecifier(source)
    if not source.script:
        raise SertkError(f"{source}: a script (scp:…) is wanted")
    entry = None
    for entry in read_script(source):
        yield entry.key, entry.full_name
    if entry is None:
        raise SertkError(f"{source}: has no entries")
