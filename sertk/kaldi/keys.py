"""Keys: what may be one, and in which order they come."""

from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier


def check_key(key: str, where: str):
    """SertkError where `key` could be written but not be read back."""
    if not isinstance(key, str) or not key or any(c in " \t\n\r\f\v\0" for c in key):
        raise SertkError(f"{where}: {key!r} cannot be a key (empty, white space or NUL)")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise SertkError(f"{where}: {key!r} cannot be a key (not UTF-8)") from None


class KeyOrder:
    """Knows keys that come twice, and with `s` those that are not in LC_ALL=C order."""

    def __init__(self, source: Rspecifier):
        self.sorted = source.sorted
        self.last = ""
        self.seen = set()

    def good(self, key: str) -> bool:
        if self.sorted:
            rises = key > self.last
            if rises:
                self.last = key
            return rises
        new = key not in self.seen
        self.seen.add(key)
        return new

    def reason(self, key: str) -> str:
        if self.sorted and key != self.last:
            return f"comes after {self.last}: not in the order that 's' promises (LC_ALL=C)"
        return "this key comes twice"
