r"""Decode Kaldi's stored values: float and double matrices and vectors, compressed matrices, vectors of integers.

Headers are checked against the file's size before anything is allocated. Errors are SertkErrors without file, key and
offset, which tables.py adds.

Source: Kaldi, src/matrix/{kaldi-matrix,kaldi-vector,compressed-matrix}.cc and src/util/kaldi-holder-inl.h.

    FM/DM  \0B "FM " \4 rows \4 cols, then rows × cols float32 (DM: float64)
    FV/DV  \0B "FV " \4 dim, then dim float32 (DV: float64)
    CM     \0B "CM " min range rows cols, 4 uint16 percentiles a column, then uint8 column by column
    CM2    \0B "CM2 " min range rows cols, then uint16 row by row
    CM3    \0B "CM3 " min range rows cols, then uint8 row by row
    ints   \0B \4 size, then \4 int32 for each
"""

import math
import struct
from typing import NamedTuple

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.streams import Input

MATRICES = ("FM", "DM", "CM", "CM2", "CM3")
VECTORS = ("FV", "DV")
KINDS = ("matrix", "vector", "ints")
# A reader may leave it open: "numbers" is a matrix or a vector, as stored.
NUMBERS = "numbers"
_FORMS = {"matrix": MATRICES, "vector": VECTORS, NUMBERS: MATRICES + VECTORS}
_ITEM = {"FM": 4, "DM": 8, "FV": 4, "DV": 8, "CM": 1, "CM2": 2, "CM3": 1}
_DTYPE = {"FM": "<f4", "DM": "<f8", "FV": "<f4", "DV": "<f8", "CM": "u1", "CM2": "<u2", "CM3": "u1"}
# Well below the largest float32, so that rounding cannot reach infinity.
_LARGE = 3e38
# Bytes allocated at a time for a value from a pipe, whose size is not known.
_PIECE = 1 << 24


class Header(NamedTuple):
    """The header of a value.

    Args:
        form: FM, DM, FV, DV, CM, CM2 or CM3.
        rows: of a matrix, or size of a vector.
        cols: of a matrix, 1 for a vector.
        low: smallest value of a compressed matrix.
        span: range of its values.
        start: bytes from the value's first byte (NUL) to its numbers; CM's column headers count as numbers.
    """

    form: str
    rows: int
    cols: int
    low: float
    span: float
    start: int

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return self.cols * _ITEM[self.form]

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return (8 * self.cols if self.form == "CM" else 0) + self.rows * self.width


def decode(stream: Input, kind: str) -> np.ndarray:
    """Decode the value at the position of a stream, binary or text.

    Args:
        stream: at the value.
        kind: "matrix", "vector", "numbers" (either) or "ints".

    Returns:
        (rows, cols) or (dim,) float32, or (size,) int32.

    Raises:
        SertkError: the value is damaged, of another kind, or has NaN or infinite numbers.
    """
    first = stream.peek(1)[:1]
    if not first:
        raise SertkError("the file ends before the value")
    if first != b"\0":
        return _decode_text(stream, kind)
    if kind == "ints":
        return _decode_ints(stream)
    header = read_header(stream, kind)
    return numbers(header, take(stream, header.nbytes))


def read_header(stream: Input, kind: str) -> Header:
    """Read the header of a binary value.

    Raises:
        SertkError: it is damaged, of another kind, or the value is larger than the rest of the file.
    """
    head = stream.read(5)
    head += stream.read(1 if head[2:] == b"CM2" or head[2:] == b"CM3" else 0)
    head += stream.read({b"FV": 5, b"DV": 5, b"FM": 10, b"DM": 10}.get(head[2:4], 16))
    header = parse_header(head, kind)
    check_size(header.nbytes, stream.left())
    return header


def parse_header(head: bytes, kind: str) -> Header:
    """Parse the header at the beginning of `head`; 26 bytes are always enough.

    Raises:
        SertkError: it is damaged or of another kind.
    """
    if head[:2] != b"\0B":
        raise SertkError(f"no value here (expected \\0B, found {head[:2]!r})")
    name, space, _ = head[2:6].partition(b" ")
    form = name.decode("latin-1")
    if not space or form not in _ITEM:
        raise SertkError(f"unknown type {head[2:6]!r} (known: {', '.join(_ITEM)})")
    if form not in _FORMS[kind]:
        raise SertkError(f"is of type {form}, expected a {kind}")
    start = 3 + len(name)
    low = span = 0.0
    try:
        if form in ("FM", "DM"):
            four, rows, four_too, cols = struct.unpack_from("<bibi", head, start)
            start += 10
        elif form in VECTORS:
            four, rows = struct.unpack_from("<bi", head, start)
            four_too, cols = 4, 1
            start += 5
        else:
            low, span, rows, cols = struct.unpack_from("<ffii", head, start)
            four = four_too = 4
            start += 16
    except struct.error:
        raise SertkError("the file ends within the header") from None
    if four != 4 or four_too != 4 or rows < 0 or cols < 0 or (form in MATRICES and (rows == 0) != (cols == 0)):
        raise SertkError(f"the header is damaged ({rows} × {cols}, sizes of {four} and {four_too} bytes)")
    if not (math.isfinite(low) and math.isfinite(span)):
        raise SertkError("the header is damaged (NaN or infinite range)")
    return Header(form, rows, cols, low, span, start)


def check_size(nbytes: int, left: int | None) -> None:
    """Check that a value of `nbytes` fits into the `left` bytes of a file (None: not known).

    Raises:
        SertkError: it does not.
    """
    if left is not None and nbytes > left:
        raise SertkError(f"the header asks for {nbytes} bytes, {left} are left in the file")


def take(stream: Input, size: int) -> np.ndarray:
    """Read `size` bytes. Shape: (size,), uint8, writable.

    Raises:
        SertkError: there are fewer.
    """
    check_size(size, stream.left())
    pieces, missing = [], size
    while missing or not pieces:
        piece = np.empty(missing if stream.size is not None else min(missing, _PIECE), np.uint8)
        count = stream.readinto(piece)
        if count < len(piece):
            raise SertkError(f"the data end after {size - missing + count} of {size} bytes")
        pieces.append(piece)
        missing -= count
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def numbers(
    header: Header, raw: np.ndarray, start: int = 0, stop: int | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Convert the bytes of a value to numbers.

    Args:
        header: of the value.
        raw: uint8; all numbers for CM, else those of the rows.
        start: first row.
        stop: last row + 1; None: all rows.
        out: float32 of the rows' shape, filled and returned. Without it, a new array, or for FM and FV `raw` itself.

    Returns:
        (stop - start, cols) or (stop - start,) float32.

    Raises:
        SertkError: a number is NaN or infinite.
    """
    stop = header.rows if stop is None else stop
    form = header.form
    if form == "CM":
        with np.errstate(all="ignore"):  # finite() reports overflow
            return finite(_into(out, _expand_columns(header, raw, start, stop)))
    codes = raw.view(_DTYPE[form])
    if form in MATRICES:
        codes = codes.reshape(stop - start, header.cols)
    if form in ("FM", "FV") and out is None:
        return finite(codes)
    if form in ("CM2", "CM3"):
        return _spread(header, codes, 65535 if form == "CM2" else 255, out)
    with np.errstate(all="ignore"):
        return finite(_into(out, codes))


def _spread(header: Header, codes: np.ndarray, top: int, out: np.ndarray | None) -> np.ndarray:
    """Map codes 0 … top to low … low + span, with Kaldi's order of rounding."""
    step, low = np.float32(header.span * (1.0 / top)), np.float32(header.low)
    values = _into(out, codes)
    # Values are monotonic in their codes: if both ends are finite, all are.
    if abs(float(step)) * top + abs(float(low)) < _LARGE:
        values *= step
        values += low
        return values
    with np.errstate(all="ignore"):
        values *= step
        values += low
    return finite(values)


def _into(out: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """`values` as float32, in `out` if given."""
    if out is None:
        return values.astype(np.float32)
    np.copyto(out, values, casting="unsafe")
    return out


def finite(values: np.ndarray) -> np.ndarray:
    """Return `values` if all are finite.

    Raises:
        SertkError: some are NaN or infinite.
    """
    # A first pass without allocation: the dot product is not finite if a number is not, or if a square overflows.
    flat = values.ravel()
    with np.errstate(all="ignore"):
        squares = np.dot(flat, flat)
    if not math.isfinite(squares):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            index = ", ".join(str(i) for i in bad[0])
            raise SertkError(f"holds NaN or infinity ({len(bad)} of {values.size} numbers, the first at [{index}])")
    return values


def _expand_columns(header: Header, raw: np.ndarray, start: int, stop: int) -> np.ndarray:
    """CM: each column has 256 values of its own, piecewise linear between its quartiles (Kaldi: CharToFloat)."""
    cols, rows = header.cols, header.rows
    if not rows:
        return np.empty((0, 0), np.float32)
    marks = raw[: 8 * cols].view("<u2").reshape(cols, 4)
    table = _curves(header, marks)
    codes = raw[8 * cols :].reshape(cols, rows)[:, start:stop]
    index = codes + (np.arange(cols, dtype=np.intp) * 256)[:, None]
    return np.ascontiguousarray(table.ravel()[index].T)


def _curves(header: Header, marks: np.ndarray) -> np.ndarray:
    """The values of each code, in Kaldi's mix of float and double. Shape: (columns, 4) marks to (columns, 256)."""
    low, span = np.float32(header.low), np.float32(header.span)
    p0, p25, p75, p100 = (low + (span * np.float32(1.52590218966964e-05)) * marks.astype(np.float32)).T[:, :, None]
    code = np.arange(256, dtype=np.float32)
    first = ((p25 - p0) * code[:65]).astype(np.float64) * (1 / 64.0) + p0
    middle = ((p75 - p25) * (code[65:193] - 64)).astype(np.float64) * (1 / 128.0) + p25
    last = ((p100 - p75) * (code[193:] - 192)).astype(np.float64) * (1 / 63.0) + p75
    return np.concatenate([first, middle, last], axis=1).astype(np.float32)


def _decode_ints(stream: Input) -> np.ndarray:
    head = stream.read(7)
    if len(head) < 7 or head[:3] != b"\0B\4":
        raise SertkError(f"no vector of int32 here ({head[:3]!r})")
    (size,) = struct.unpack_from("<i", head, 3)
    if size < 0:
        raise SertkError(f"the header is damaged (size {size})")
    items = take(stream, 5 * size).view(np.dtype([("four", "u1"), ("value", "<i4")]))
    if size and (items["four"] != 4).any():
        raise SertkError("an integer does not have 4 bytes")
    return items["value"].astype(np.int32)


def _decode_text(stream: Input, kind: str) -> np.ndarray:
    if kind == "ints":
        return np.array([_integer(word) for word in stream.readline().split()], np.int32)
    lines = []
    while not lines or b"]" not in lines[-1]:
        line = stream.readline()
        if not line:
            raise SertkError("the text ends before its ']'")
        if not lines and line.strip()[:1] != b"[":
            raise SertkError(f"neither binary data nor a text {kind} here ({line[:8]!r})")
        lines.append(line)
    inner, _, after = b"".join(lines).strip()[1:].partition(b"]")
    if after.strip():
        raise SertkError(f"text after the ']' ({after.strip()[:16]!r})")
    rows = [[_number(word) for word in row.split()] for row in inner.replace(b";", b"\n").split(b"\n")]
    rows = [row for row in rows if row]
    if len({len(row) for row in rows}) > 1:
        raise SertkError(f"rows of {sorted({len(row) for row in rows})} numbers in one matrix")
    with np.errstate(all="ignore"):
        values = np.array(rows, np.float64).astype(np.float32)
    if kind == "vector" or (kind == NUMBERS and len(lines) == 1):
        if len(rows) > 1:
            raise SertkError(f"is a matrix of {len(rows)} rows, expected a vector")
        return finite(values.reshape(-1))
    return finite(values.reshape(len(rows), -1) if rows else np.empty((0, 0), np.float32))


def _number(word: bytes) -> float:
    try:
        # Python reads 1_0 as a number, Kaldi does not.
        return float(b"" if b"_" in word else word)
    except ValueError:
        raise SertkError(f"{word[:32]!r} is not a number") from None


def _integer(word: bytes) -> int:
    try:
        value = int(b"" if b"_" in word else word)
    except ValueError:
        raise SertkError(f"{word[:32]!r} is not an integer") from None
    if not -(2**31) <= value < 2**31:
        raise SertkError(f"{word.decode('latin-1')[:32]} does not fit into 32 bits")
    return value
