"""Keys of tables: which strings are valid, duplicates and order."""

from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier


def check_key(key: str, where: str) -> None:
    """Check a key before it is written.

    Args:
        key: the key.
        where: table or file, for the message.

    Raises:
        SertkError: the key could be written but not read back.
    """
    if not isinstance(key, str) or not key or any(c in " \t\n\r\f\v\0" for c in key):
        raise SertkError(f"{where}: {key!r} cannot be a key (empty, white space or NUL)")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise SertkError(f"{where}: {key!r} cannot be a key (not UTF-8)") from None


class KeyOrder:
    """Detects duplicate keys, and keys out of LC_ALL=C order if the specifier promises order (`s`).

    With `s` only the last key is remembered.
    """

    def __init__(self, source: Rspecifier) -> None:
        self.sorted = source.sorted
        self.last = ""
        self.seen: set[str] = set()

    def accepts(self, key: str) -> bool:
        """True if the key is valid after those before; call once for each key, in order."""
        if self.sorted:
            rises = key > self.last
            if rises:
                self.last = key
            return rises
        new = key not in self.seen
        self.seen.add(key)
        return new

    def reason(self, key: str) -> str:
        """The error message for a key that was not accepted."""
        if self.sorted and key != self.last:
            return f"comes after {self.last}: not in the order that 's' promises (LC_ALL=C)"
        return "this key comes twice"
