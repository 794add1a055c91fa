"""Arrays into Kaldi's stored values (codec.py has the formats): binary, compressed as Kaldi compresses, and text.

Everything is checked before the first byte exists: type, shape, and that the numbers are finite.
Source: Kaldi, src/matrix/compressed-matrix.cc (ComputeGlobalHeader, ComputeColHeader, FloatToChar).
"""

import struct

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.codec import finite

COMPRESSIONS = ("none", "cm", "cm2", "cm3")
# Tables of a number for each key, which are written and not read: Kaldi's Int32Writer, and its DoubleWriter as
# compute-fbank-feats uses it for durations, which are float32 before.
NUMBERS = ("int", "double")
LARGEST = float(np.finfo(np.float32).max)


def checked(array, kind: str) -> np.ndarray:
    """`array` as what is stored: float32 (frames, bins), float32 (dim,), int32 (size,), or a number (1,); or SertkError."""
    if kind in NUMBERS:
        return np.array([array], "<i4") if kind == "int" else finite(np.array([array], "<f4").astype("<f8"))
    if not isinstance(array, np.ndarray):
        raise SertkError(f"a {type(array).__name__} is not written: a numpy array is wanted")
    if kind == "ints":
        return _checked_ints(array)
    if array.dtype not in (np.float32, np.float64):
        raise SertkError(f"numbers of type {array.dtype} are not written: float32 or float64 is wanted")
    if array.ndim != (2 if kind == "matrix" else 1) or array.size == 0:
        raise SertkError(f"an array of shape {array.shape} is not written as a {kind}")
    if array.dtype == np.float32:
        return finite(np.ascontiguousarray(array))
    with np.errstate(over="ignore"):  # finite() finds what overflows
        return finite(array.astype("<f4", order="C"))


def _checked_ints(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise SertkError(f"an array of {array.dtype} and shape {array.shape} is not written as a vector of integers")
    if array.size and not (int(array.min()) >= -(2**31) and int(array.max()) < 2**31):
        raise SertkError("integers that do not fit into 32 bits")
    return array.astype("<i4")


def encode(array: np.ndarray, kind: str, compress: str = "none") -> tuple:
    """A checked array as pieces to write one after the other: bytes, and arrays that are written as they lie."""
    if kind in NUMBERS:
        return b"\0B" + bytes([array.itemsize]), array
    if kind == "ints":
        items = np.empty(len(array), np.dtype([("four", "u1"), ("value", "<i4")]))
        items["four"], items["value"] = 4, array
        return b"\0B\4" + struct.pack("<i", len(array)), items.tobytes()
    if kind == "vector":
        return b"\0BFV \4" + struct.pack("<i", len(array)), array
    rows, cols = array.shape
    if compress == "none":
        return b"\0BFM " + struct.pack("<bibi", 4, rows, 4, cols), array
    low, high = array.min(), array.max()
    if high == low:
        high = np.float32(float(low) + (1.0 + abs(float(low))))
    if float(high) - float(low) > LARGEST:
        raise SertkError("numbers too far apart to be compressed")
    span = high - low
    header = struct.pack("<ffii", low, span, rows, cols)
    if compress == "cm":
        return b"\0BCM " + header, *_columns(array, low, span)
    if compress == "cm2":
        return b"\0BCM2 " + header, _steps(array, low, span, 65535).astype("<u2")
    return b"\0BCM3 " + header, _steps(array, low, span, 255).astype("u1")


def encode_text(array: np.ndarray, kind: str) -> bytes:
    """The text of a checked array, line end included; float32 numbers as short as they can be read back exactly."""
    if kind in NUMBERS:
        return f"{number_text(array.item())}\n".encode()
    if kind == "ints":
        return (" ".join(map(str, array.tolist())) + "\n").encode()
    if kind == "vector":
        return f" [ {' '.join(array.astype(str))} ]\n".encode()
    rows = "\n".join("  " + " ".join(row) for row in array.astype(str))
    return f" [\n{rows} ]\n".encode()


def number_text(value: int | float) -> str:
    """A number in text, with Kaldi's seven digits."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _steps(array, low, span, top) -> np.ndarray:
    """The step out of 0 … top for each number: Kaldi's FloatToUint16 and FloatToUint8, a float32 plus a double."""
    scaled = array - low
    scaled /= span
    np.clip(scaled, 0, 1, out=scaled)
    scaled *= np.float32(top)
    return np.add(scaled, 0.499, dtype=np.float64)


def _columns(array, low, span) -> tuple[np.ndarray, np.ndarray]:
    """CM's column headers and codes."""
    columns = np.ascontiguousarray(array.T)
    marks = _marks(columns, low, span)
    edges = low + (span * np.float32(1.52590218966964e-05)) * marks.astype(np.float32)
    codes = np.zeros(columns.shape, np.uint8)
    # Kaldi asks which of three ranges a number lies in; a range's code stands still outside of it, so they add up.
    for part, steps in enumerate((64, 128, 63)):
        start, end = edges[:, part, None], edges[:, part + 1, None]
        scaled = columns - start
        scaled /= end - start
        scaled *= np.float32(steps)
        np.clip(scaled, 0, steps, out=scaled)
        codes += np.add(scaled, 0.5, dtype=np.float64).astype(np.uint8)
    return marks.astype("<u2"), codes


def _marks(columns, low, span) -> np.ndarray:
    """(columns, 4): the order statistics that a column's curve is bent at, as steps of 65535, strictly rising."""
    ordered = np.sort(columns, axis=1)
    rows = ordered.shape[1]
    quarter = rows // 4
    places = (0, quarter, 3 * quarter, rows - 1) if rows >= 5 else range(min(rows, 4))
    steps = _steps(ordered[:, list(places)], low, span, 65535).astype(np.int64)
    marks = np.zeros((len(columns), 4), np.int64)
    for i, most in enumerate((65532, 65533, 65534, 65535)):
        least = marks[:, i - 1] + 1 if i else 0
        marks[:, i] = np.minimum(np.maximum(steps[:, i], least), most) if i < steps.shape[1] else least
    return marks
