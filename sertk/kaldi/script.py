"""Scripts (scp files): each line is a key and the rxfilename of its value."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import NamedTuple

from sertk.errors import SertkError, error_context
from sertk.kaldi.filenames import Rxfilename, parse_rxfilename
from sertk.kaldi.keys import KeyOrder
from sertk.kaldi.ranges import split_range
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import open_input


class Entry(NamedTuple):
    """A line of a script.

    Args:
        key: its key.
        name: the rxfilename without its range.
        range: Kaldi's range, without the brackets.
        label: name of the script, for messages.
        number: of the line, from 1.
    """

    key: str
    name: str
    range: str | None
    label: str
    number: int

    @property
    def where(self) -> str:
        """Script, line and key, for messages."""
        return f"{self.label}:{self.number}: key {self.key}"

    @property
    def rxfilename(self) -> Rxfilename:
        """The parsed `name`.

        Raises:
            SertkError: it is not an rxfilename.
        """
        return parse_rxfilename(self.name)

    @property
    def full_name(self) -> str:
        """The rxfilename with its range."""
        return self.name if self.range is None else f"{self.name}[{self.range}]"


def read_script(source: Rspecifier) -> Iterator[Entry]:
    """The lines of a script.

    Raises:
        SertkError: a line is malformed, a key comes twice or is out of the promised order, or there is a byte order mark.
    """
    order = KeyOrder(source)
    with open_input(source.rxfilename) as stream:
        number = 0
        while line := stream.readline():
            number += 1
            if number == 1 and line.startswith(BOM_UTF8):
                reason = "begins with a byte order mark (Windows); Kaldi would read it as part of the key"
                raise SertkError(f"{stream.label}:1: {reason}")
            try:
                key, name = line.split(None, 1)
                entry = Entry(key.decode(), name.rstrip().decode(), None, stream.label, number)
            except UnicodeDecodeError:
                raise SertkError(f"{stream.label}:{number}: not UTF-8") from None
            except ValueError:
                text = line[:80].decode("utf-8", "replace").strip()
                raise SertkError(f"{stream.label}:{number}: expected a key and a file name: '{text}'") from None
            if not order.accepts(entry.key):
                raise SertkError(f"{entry.where}: {order.reason(entry.key)}")
            if entry.name.endswith("]"):
                with error_context(entry.where):
                    name, text = split_range(entry.name)
                entry = entry._replace(name=name, range=text)
            yield entry


def script_entries(source: Rspecifier | str) -> Iterator[tuple[str, str]]:
    """The (key, rxfilename with its range) of each line of a `scp:` table.

    Raises:
        SertkError: the table is an archive or empty, or as read_script.
    """
    source = as_rspecifier(source)
    if not source.script:
        raise SertkError(f"{source}: expected a script (scp:…)")
    entry = None
    for entry in read_script(source):
        yield entry.key, entry.full_name
    if entry is None:
        raise SertkError(f"{source}: has no entries")
