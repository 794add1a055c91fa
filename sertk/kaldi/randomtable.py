"""Random access to tables: an entry, or some rows of one, by key."""

import os

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.codec import Header, check_size, numbers, parse_header
from sertk.kaldi.ranges import rows_and_columns
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.streams import split_offset
from sertk.kaldi.tables import at, read_script


class RandomTable:
    """A table whose entries are read by key, whole or in part.

    keys: the keys in the script's order
    num_frames: int64 array of rows, in the order of keys
    dim: columns
    """

    def __init__(self, source: Rspecifier, kind: str):
        self.kind = kind
        self.entries = list(read_script(source))
        self.keys = [entry.key for entry in self.entries]
        if not self.keys:
            raise SertkError(f"{source}: has no entries")
        self.place = {key: i for i, key in enumerate(self.keys)}
        self.files: dict[str, int] = {}
        shapes = [self._shape(i) for i in range(len(self.keys))]
        self.num_frames = np.array([rows for rows, _ in shapes], np.int64)
        self.dim = shapes[0][1]

    def __len__(self):
        return len(self.keys)

    def __contains__(self, key):
        return key in self.place

    def __getitem__(self, key):
        """The whole value of a key (or of the entry of that number)."""
        return self.rows(key)

    def rows(self, key: str | int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start to stop (not included) of an entry: float32 (stop - start, bins), read by offset."""
        number = self.place[key] if isinstance(key, str) else key
        entry = self.entries[number]
        with at(entry.where):
            fd, offset, header = self._header(number)
            (top, bottom), (left, right) = self._window(entry, header)
            stop = bottom - top if stop is None else stop
            if not 0 <= start <= stop <= bottom - top:
                raise SertkError(f"rows {start} to {stop} of {bottom - top} were asked for")
            first, last = top + start, top + stop
            if header.form == "CM":
                raw = self._bytes(fd, offset + header.start, header.nbytes)
            else:
                width = header.nbytes // header.rows if header.rows else 0
                raw = self._bytes(fd, offset + header.start + first * width, (last - first) * width)
            found = numbers(header, raw, first, last)
            return found if found.ndim == 1 or (left, right) == (0, header.cols) else found[:, left:right].copy()

    def close(self):
        for fd in self.files.values():
            os.close(fd)
        self.files = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _shape(self, number):
        entry = self.entries[number]
        with at(entry.where):
            _, _, header = self._header(number)
            (top, bottom), (left, right) = self._window(entry, header)
            return bottom - top, right - left

    def _window(self, entry, header: Header):
        cols = header.cols if self.kind == "matrix" else None
        if entry.range is not None:
            return rows_and_columns(entry.range, header.rows, cols)
        return (0, header.rows), (0, header.cols)

    def _header(self, number):
        path, offset = split_offset(self.entries[number].name)
        fd = self.files.get(path)
        if fd is None:
            fd = self.files[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        header = parse_header(os.pread(fd, 32, offset), self.kind)
        check_size(header.nbytes, os.fstat(fd).st_size - offset - header.start)
        return fd, offset, header

    def _bytes(self, fd, offset, size):
        raw = np.empty(size, np.uint8)
        if os.preadv(fd, [raw], offset) != size:
            raise SertkError(f"the data end within the value at byte {offset}")
        return raw
