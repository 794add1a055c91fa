"""Random access to tables: an entry, or some of its rows, by key or number.

Example:
    with open_table("scp:feats.scp") as table:
        table.rows("utt1", 100, 300)  # (200, bins) float32; only these rows are read
"""

import os
import time
from typing import Any

import numpy as np

from sertk.errors import SertkError, error_context
from sertk.kaldi.codec import Header, check_size, finite, numbers, parse_header
from sertk.kaldi.index import SHAPE, SequentialOnly
from sertk.kaldi.indexcache import file_identity, open_index, save_index
from sertk.kaldi.openfiles import OpenFile, OpenFiles
from sertk.kaldi.ranges import rows_and_columns
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.words import Words


class RandomTable:
    """A table whose entries are read by key or number, whole or in part; `with` or close() closes its files.

    Threads and forked processes may read at the same time, since reads do not move a file's position. In a spawned
    process (pickle) the table is opened again, and refused if it has changed.

    `num_frames` reads all headers, which then are not read again while an archive is the same file when it is opened.
    A file that is changed in place while it is open gives undefined values.

    Args:
        source: the table.
        kind: "matrix" or "vector".

    Raises:
        SertkError: the script or archive is damaged, or cannot be read at random.
    """

    def __init__(self, source: Rspecifier, kind: str = "matrix") -> None:
        self.source, self.kind = source, kind
        # By number of the archive; `known` is True if the index has the headers of this file.
        self._files = OpenFiles()
        self._path = source.filename if source.rxfilename.kind == "file" else None
        self._started = time.time_ns()
        with error_context(str(source)):
            self._identity = file_identity(self._path) if self._path else None
        self._index = open_index(source, kind)
        if not self._index.mapped and self._path:
            save_index(self._index, self._path, self._started, self._identity)

    @property
    def keys(self) -> Words:
        """The keys, in the table's order, decoded on access."""
        return self._index.keys

    @property
    def num_frames(self) -> np.ndarray:
        """Rows of each entry. Shape: (entries,), int64. The first call reads every header; a cache file keeps them."""
        if not len(self._index.frames):
            self._read_shapes()
        return self._index.frames

    @property
    def dim(self) -> int:
        """Columns of the first entry; after num_frames, which checks all entries, those of the first that is not empty."""
        return self._index.dim or self._shape(0)[2]

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        return self._index.find(key) is not None

    def __getitem__(self, key: str | int) -> np.ndarray:
        """The whole value of a key, or of the entry of that number."""
        return self.rows(key)

    def rows(
        self, key: str | int, start: int = 0, stop: int | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Read rows of an entry.

        Args:
            key: key, or number of the entry.
            start: first row.
            stop: last row + 1; None: all rows.
            out: C-contiguous float32 of the result's shape, filled and returned; None: a new array.

        Returns:
            (stop - start, bins) float32, (stop - start,) for a vector.

        Raises:
            SertkError: the table has no such key, the entry has no such rows, or it is damaged; the message names file,
                key and offset.
        """
        number = self._number(key)
        file = self._open(number)
        fd = file.fd
        try:
            offset = self._index.offset.item(number)
            header = self._known(number) if file.known else self._header(fd, offset)
            (top, bottom), (left, right) = self._window(number, header)
            stop = bottom - top if stop is None else stop
            if not 0 <= start <= stop <= bottom - top:
                raise SertkError(f"rows {start} to {stop} of {bottom - top} were asked for")
            first, last = top + start, top + stop
            whole = right - left == header.cols
            values = _decoded(fd, offset, header, first, last, out if whole else None)
        except (SertkError, OSError) as error:
            raise SertkError(f"{self._where(number)}: {getattr(error, 'strerror', None) or error}") from None
        finally:
            self._files.release(file)
        if whole:
            return values
        out = np.empty((last - first, right - left), np.float32) if out is None else out
        out[...] = values[:, left:right]
        return out

    def close(self) -> None:
        """Close the files; a later read opens them again."""
        self._files.close()

    def __enter__(self) -> "RandomTable":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "kind": self.kind, "identity": self._identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["source"], state["kind"])
        if self._identity is None or self._identity != state["identity"]:
            raise SertkError(
                f"{self.source}: has changed since it was opened, or is not a file: cannot be opened again"
            )

    def _read_shapes(self) -> None:
        """Read every entry's header, in order of archive and offset."""
        index = self._index
        identities = [file_identity(name) for name in index.archives]
        frames, shapes, dim = np.empty(len(index), np.int64), np.empty(len(index), SHAPE), 0
        for number in np.lexsort((index.offset, index.archive)).tolist():
            header, rows, cols = self._shape(number)
            if rows and cols != (dim or cols):
                raise SertkError(f"{self._where(number)}: has {cols} columns where the entries before have {dim}")
            frames[number], dim = rows, dim or cols
            shapes[number] = (header.form, header.start, header.rows, header.cols, header.low, header.span)
        index.frames, index.shapes, index.identities, index.dim = frames, shapes, identities, dim
        for archive, file in list(self._files.kept.items()):
            file.known = self._is_known(file.fd, archive)
        if self._path:
            save_index(index, self._path, self._started, self._identity)

    def _shape(self, number: int) -> tuple[Header, int, int]:
        """An entry's header, and its rows and columns after its range is applied."""
        file = self._open(number)
        try:
            header = self._header(file.fd, int(self._index.offset[number]))
            (top, bottom), (left, right) = self._window(number, header)
        except SequentialOnly as error:
            raise SequentialOnly(f"{self._where(number)}: {error}") from None
        except (SertkError, OSError) as error:
            raise SertkError(f"{self._where(number)}: {getattr(error, 'strerror', None) or error}") from None
        finally:
            self._files.release(file)
        return header, bottom - top, right - left

    def _known(self, number: int) -> Header:
        """An entry's header out of the index."""
        form, start, rows, cols, low, span = self._index.shapes.item(number)
        return Header(form.decode(), rows, cols, low, span, start)

    def _window(self, number: int, header: Header) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last + 1 row and column of an entry's range."""
        text = self._index.ranges[number] if len(self._index.ranges) else ""
        if not text:
            return (0, header.rows), (0, header.cols)
        rows, columns = rows_and_columns(text, header.rows, header.cols if self.kind == "matrix" else None)
        return rows, columns if self.kind == "matrix" else (0, 1)

    def _header(self, fd: int, offset: int) -> Header:
        head = os.pread(fd, 32, offset)
        if not head:
            raise SertkError("the file ends before the value")
        if head.lstrip()[:1] == b"[":
            raise SequentialOnly("is text, which cannot be read at random")
        header = parse_header(head, self.kind)
        check_size(header.nbytes, os.fstat(fd).st_size - offset - header.start)
        return header

    def _number(self, key: str | int) -> int:
        if isinstance(key, str):
            number = self._index.find(key)
            if number is None:
                raise SertkError(f"{self.source}: has no key {key}")
            return number
        if not 0 <= key < len(self._index):
            raise SertkError(f"{self.source}: has no entry number {key} (of {len(self._index)})")
        return int(key)

    def _open(self, number: int) -> OpenFile:
        archive = self._index.archive.item(number)
        try:
            file, new = self._files.acquire(archive, self._index.archives[archive])
        except (SertkError, OSError) as error:
            raise SertkError(f"{self._where(number)}: {getattr(error, 'strerror', None) or error}") from None
        if new:
            file.known = self._is_known(file.fd, archive)
        return file

    def _is_known(self, fd: int, archive: int) -> bool:
        return bool(self._index.identities) and file_identity(fd) == self._index.identities[archive]

    def _where(self, number: int) -> str:
        index = self._index
        path = index.archives[int(index.archive[number])]
        return f"{self.source}: key {index.keys[number]}: {path} at byte {int(index.offset[number])}"


def _decoded(fd: int, offset: int, header: Header, first: int, last: int, out: np.ndarray | None) -> np.ndarray:
    """Rows first to last, with all columns, of the value at `offset`."""
    place = offset + header.start
    if header.form == "CM":  # stored column by column
        return numbers(header, _read(fd, place, np.empty(header.nbytes, np.uint8)), first, last, out)
    place += first * header.width
    if header.form in ("FM", "FV"):
        if out is None:
            out = np.empty((last - first, header.cols) if header.form == "FM" else last - first, np.float32)
        return finite(_read(fd, place, out))
    return numbers(header, _read(fd, place, np.empty((last - first) * header.width, np.uint8)), first, last, out)


def _read(fd: int, offset: int, into: np.ndarray) -> np.ndarray:
    """Fill a contiguous array with the bytes at `offset`."""
    if os.preadv(fd, [into], offset) != into.nbytes:
        # Linux reads at most 2 GiB a call.
        raw, done = into.reshape(-1).view(np.uint8), 0
        while done < len(raw) and (count := os.preadv(fd, [raw[done:]], offset + done)):
            done += count
        if done < len(raw):
            raise SertkError(f"the data end after {done} of {len(raw)} bytes")
    return into
