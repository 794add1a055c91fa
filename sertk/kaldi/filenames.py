"""Kaldi's extended file names: files, `-`, `file:offset`, pipes.

Source: Kaldi, src/util/kaldi-io.cc, ClassifyRxfilename and ClassifyWxfilename.
"""

import re
from typing import NamedTuple

from sertk.errors import SertkError

_OFFSET = re.compile(r"(?P<path>.*):(?P<offset>[0-9]+)", re.DOTALL)


class Rxfilename(NamedTuple):
    """A parsed name to read from.

    Args:
        name: as it was written.
        kind: "stdin", "pipe", "offset" or "file".
        path: of the file, for the kinds "offset" and "file".
        offset: in bytes; 0 for the other kinds.
    """

    name: str
    kind: str
    path: str = ""
    offset: int = 0

    @property
    def stored(self) -> bool:
        """True for a place in a file, False for standard input and pipes."""
        return self.kind in ("file", "offset")

    @property
    def file(self) -> "Rxfilename":
        """The file from its beginning; its name is not parsed again, since `x:15:16` is byte 16 of the file `x:15`."""
        return Rxfilename(self.path, "file", self.path)


def parse_rxfilename(name: str) -> Rxfilename:
    """Parse a name to read from.

    Raises:
        SertkError: it is not an rxfilename.

    Example:
        >>> parse_rxfilename("x.ark:15")
        Rxfilename(name='x.ark:15', kind='offset', path='x.ark', offset=15)
        >>> parse_rxfilename("gunzip -c x.gz |").kind
        'pipe'
    """
    if name in ("", "-"):
        return Rxfilename(name, "stdin")
    if name[0] == "|":
        raise SertkError(f"'{name}' is an output pipe where input is read (an input pipe ends in '|')")
    if name[-1] == "|":
        return Rxfilename(name, "pipe")
    _check_plain(name)
    match = _OFFSET.fullmatch(name)
    if not match:
        return Rxfilename(name, "file", name)
    offset = int(match["offset"])
    if offset > 2**63 - 1:
        raise SertkError(f"{name}: the offset is beyond the end of any file")
    return Rxfilename(name, "offset", match["path"], offset)


def classify_output(name: str) -> str:
    """The kind of a name to write to: "stdout", "pipe" or "file".

    Raises:
        SertkError: it is not a wxfilename.
    """
    if name in ("", "-"):
        return "stdout"
    if name[0] == "|":
        return "pipe"
    if name[-1] == "|":
        raise SertkError(f"'{name}' is an input pipe where output is written (an output pipe begins with '|')")
    _check_plain(name)
    if _OFFSET.fullmatch(name):
        raise SertkError(f"'{name}' names an offset in a file, which cannot be written to")
    return "file"


def _check_plain(name: str) -> None:
    if name[0].isspace() or name[-1].isspace():
        raise SertkError(f"'{name}' begins or ends in white space")
    if name[:2] in ("b,", "t,"):
        raise SertkError(f"'{name}': b and t belong before the colon (ark,t:…)")
    if "|" in name:
        raise SertkError(f"'{name}': a pipe's '|' stands at the end (input) or at the beginning (output)")
    if "\0" in name or "\n" in name:
        raise SertkError(f"{name!r} is not a file name")
