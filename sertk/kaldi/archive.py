"""Archives (ark files): read their keys, and leave the stream at each value."""

import re
from collections.abc import Iterator

from sertk.errors import SertkError
from sertk.kaldi.keys import KeyOrder
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.streams import Input

# Longer keys are taken as damage.
_LONGEST_KEY = 4096
_WORD = re.compile(rb"[^ \t\n\r\f\v]*")


def read_keys(stream: Input, source: Rspecifier) -> Iterator[tuple[str, str]]:
    """The keys of an archive; after each the stream is at its value.

    Args:
        stream: the archive; the caller reads each value before the next key.
        source: for the order that it promises.

    Yields:
        (key, file and offset for messages).

    Raises:
        SertkError: a key is damaged, comes twice or is out of order.
    """
    order = KeyOrder(source)
    while True:
        place = f"{stream.label} at byte {stream.position}"
        key = _read_key(stream, place)
        if key is None:
            return
        where = f"{place}: key {key}"
        if not order.accepts(key):
            raise SertkError(f"{where}: {order.reason(key)}")
        yield key, where


def _read_key(stream: Input, place: str) -> str | None:
    """The next key, None at the end."""
    while (head := stream.peek(64)) and head[:1].isspace():
        stream.read(len(head) - len(head.lstrip()))
    if not head:
        return None
    word = b""
    while True:
        part = _WORD.match(head)[0]
        word += stream.read(len(part))
        if len(part) < len(head) or len(word) > _LONGEST_KEY:
            break
        head = stream.peek(64)
        if not head:
            raise SertkError(f"{place}: the file ends within a key ({word[:32]!r})")
    if len(word) > _LONGEST_KEY or stream.read(1) not in (b" ", b"\t") or b"\0" in word:
        raise SertkError(f"{place}: no key here ({word[:32]!r}): the archive is damaged")
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise SertkError(f"{place}: no key here ({word[:32]!r}): the archive is damaged") from None
