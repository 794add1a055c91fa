"""Read a large script into arrays, thousands of lines at a time.

Only for scripts in the plain form that writers of archives give, `key path:offset` with one space between. Other scripts
are read line by line (script.py), which handles every form and reports errors.
"""

from codecs import BOM_UTF8

import numpy as np

from sertk.kaldi.streams import Input
from sertk.kaldi.words import Words, by_length, spans

_BLOCK = 1 << 23
_NEWLINE, _SPACE, _BAR, _COLON, _COMMA, _BRACKET = b"\n |:,]"
# 10^18 fits into int64.
_MOST_DIGITS = 18


def script_arrays(stream: Input) -> tuple[list[str], np.ndarray, np.ndarray, Words] | None:
    """Read a script in the plain form.

    Args:
        stream: at the beginning of the script.

    Returns:
        the archives' names; for each line the number of its archive (int32), its offset (int64) and its key. None if a
        line is not in the plain form, or there are none.
    """
    archives: dict[bytes, int] = {}
    parts, rest = [], b""
    while block := stream.read(_BLOCK):
        if block.startswith(BOM_UTF8) and not parts and not rest:
            return None
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if whole or newline:
            parts.append(_lines(np.frombuffer(whole + newline, np.uint8), archives))
            if parts[-1] is None:
                return None
    if rest:
        parts.append(_lines(np.frombuffer(rest + b"\n", np.uint8), archives))
    if not parts or parts[-1] is None:
        return None
    archive, offset, blob, lengths = map(np.concatenate, zip(*parts))
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    keys = Words(blob, ends)
    try:
        names = [name.decode() for name in archives]
        if (blob > 127).any():
            list(keys)
    except UnicodeDecodeError:
        return None
    return names, archive, offset, keys


def _lines(
    data: np.ndarray, archives: dict[bytes, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Parse whole lines: archive, offset, bytes of the keys, lengths of the keys; None if one is not plain."""
    ends = np.flatnonzero(data == _NEWLINE)
    spaces = np.flatnonzero(data == _SPACE)
    plain = len(spaces) == len(ends) and np.count_nonzero(data < _SPACE) == len(ends)
    if not plain or _BAR in data or (data[ends - 1] == _BRACKET).any():
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    colons = np.flatnonzero(data == _COLON)
    last = np.searchsorted(colons, ends) - 1
    if not (starts < spaces).all() or not (spaces < ends).all() or (last < 0).any():
        return None
    colons = colons[last]
    # A path of at least one byte; a path that begins with "b," or "t," is an error, which script.py reports.
    if not (colons > spaces + 1).all() or (data[spaces + 2] == _COMMA).any():
        return None
    offset = _numbers(data, colons + 1, ends)
    if offset is None:
        return None
    lengths = spaces - starts
    inside = np.zeros(len(data) + 1, np.int8)
    inside[starts], inside[spaces] = 1, -1
    keys = data[np.cumsum(inside[:-1], dtype=np.int8).view(bool)]
    return _numbered(data, spaces + 1, colons, archives), offset, keys, lengths


def _numbers(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """The decimal numbers data[start:end]; None if one is malformed or has too many digits."""
    lengths = ends - starts
    if lengths.min() < 1 or lengths.max() > _MOST_DIGITS:
        return None
    numbers = np.zeros(len(starts), np.int64)
    for place in range(int(lengths.max())):
        inside = lengths > place
        digits = np.where(inside, data[ends - 1 - place] - np.uint8(ord("0")), np.uint8(0))
        if (digits > 9).any():
            return None
        numbers += digits * np.int64(10**place)
    return numbers


def _numbered(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, archives: dict[bytes, int]) -> np.ndarray:
    """The number of each path data[start:end] in `archives`, to which new paths are added."""
    archive = np.empty(len(starts), np.int32)
    for length, chosen in by_length(starts, ends):
        paths = spans(data, starts[chosen], length).view(f"S{length}")[:, 0]
        names, inverse = np.unique(paths, return_inverse=True)
        numbers = [archives.setdefault(name, len(archives)) for name in names.tolist()]
        archive[chosen] = np.array(numbers, np.int32)[inverse]
    return archive
