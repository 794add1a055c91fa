"""Encode arrays as Kaldi's stored values (formats: codec.py): binary, compressed with Kaldi's rounding, and text.

Type, shape and finiteness are checked before anything is encoded.
Source: Kaldi, src/matrix/compressed-matrix.cc (ComputeGlobalHeader, ComputeColHeader, FloatToChar).
"""

import struct
from typing import Any

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.codec import finite

COMPRESSIONS = ("none", "cm", "cm2", "cm3")
# Tables of one number a key, only written: Kaldi's Int32Writer, and its DoubleWriter as compute-fbank-feats uses it for
# durations, which are float32 values.
NUMBERS = ("int", "double")
LARGEST = float(np.finfo(np.float32).max)


def checked(array: Any, kind: str) -> np.ndarray:
    """Check an array and convert it to the stored type.

    Args:
        array: of float32, float64 or (kind "ints") integers; a number for the kinds "int" and "double".
        kind: as table_writer.

    Returns:
        (frames, bins) or (dim,) float32, (size,) int32, or (1,) int32 or float64.

    Raises:
        SertkError: wrong type or shape, or NaN or infinite numbers.
    """
    if kind in NUMBERS:
        return np.array([array], "<i4") if kind == "int" else finite(np.array([array], "<f4").astype("<f8"))
    if not isinstance(array, np.ndarray):
        raise SertkError(f"a {type(array).__name__} cannot be written: expected a numpy array")
    if kind == "ints":
        return _checked_ints(array)
    if array.dtype not in (np.float32, np.float64):
        raise SertkError(f"numbers of type {array.dtype} cannot be written: expected float32 or float64")
    if array.ndim != (2 if kind == "matrix" else 1) or array.size == 0:
        raise SertkError(f"an array of shape {array.shape} cannot be written as a {kind}")
    if array.dtype == np.float32:
        return finite(np.ascontiguousarray(array))
    with np.errstate(over="ignore"):  # finite() finds what overflows
        return finite(array.astype("<f4", order="C"))


def _checked_ints(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise SertkError(f"an array of {array.dtype} and shape {array.shape} cannot be written as a vector of integers")
    if array.size and not (int(array.min()) >= -(2**31) and int(array.max()) < 2**31):
        raise SertkError("integers that do not fit into 32 bits")
    return array.astype("<i4")


def encode(array: np.ndarray, kind: str, compress: str = "none") -> tuple[bytes | np.ndarray, ...]:
    """Encode a checked array in binary.

    Args:
        array: from `checked`.
        kind: as table_writer.
        compress: "none", "cm", "cm2" or "cm3".

    Returns:
        the pieces to write one after the other: bytes, and arrays whose memory is written.

    Raises:
        SertkError: the range of the numbers is too large to be compressed.
    """
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
        raise SertkError("the range of the numbers is too large to be compressed")
    span = high - low
    header = struct.pack("<ffii", low, span, rows, cols)
    if compress == "cm":
        return b"\0BCM " + header, *_columns(array, low, span)
    if compress == "cm2":
        return b"\0BCM2 " + header, _steps(array, low, span, 65535).astype("<u2")
    return b"\0BCM3 " + header, _steps(array, low, span, 255).astype("u1")


def encode_text(array: np.ndarray, kind: str) -> bytes:
    """Encode a checked array as text with its line end; float32 numbers have the digits that they need to be exact."""
    if kind in NUMBERS:
        return f"{number_text(array.item())}\n".encode()
    if kind == "ints":
        return (" ".join(map(str, array.tolist())) + "\n").encode()
    if kind == "vector":
        return f" [ {' '.join(array.astype(str))} ]\n".encode()
    rows = "\n".join("  " + " ".join(row) for row in array.astype(str))
    return f" [\n{rows} ]\n".encode()


def number_text(value: int | float) -> str:
    """A number as text, with Kaldi's seven digits."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _steps(array: np.ndarray, low: np.float32, span: np.float32, top: int) -> np.ndarray:
    """Quantise numbers to 0 … top (Kaldi: FloatToUint16 and FloatToUint8, a float32 plus a double), before truncation."""
    scaled = array - low
    scaled /= span
    np.clip(scaled, 0, 1, out=scaled)
    scaled *= np.float32(top)
    return np.add(scaled, 0.499, dtype=np.float64)


def _columns(array: np.ndarray, low: np.float32, span: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """CM's column headers, (columns, 4) uint16, and codes, (columns, rows) uint8."""
    columns = np.ascontiguousarray(array.T)
    marks = _marks(columns, low, span)
    edges = low + (span * np.float32(1.52590218966964e-05)) * marks.astype(np.float32)
    codes = np.zeros(columns.shape, np.uint8)
    # Kaldi picks one of three ranges for each number; a range's code is constant outside of it, so the codes add up.
    for part, steps in enumerate((64, 128, 63)):
        start, end = edges[:, part, None], edges[:, part + 1, None]
        scaled = columns - start
        scaled /= end - start
        scaled *= np.float32(steps)
        np.clip(scaled, 0, steps, out=scaled)
        codes += np.add(scaled, 0.5, dtype=np.float64).astype(np.uint8)
    return marks.astype("<u2"), codes


def _marks(columns: np.ndarray, low: np.float32, span: np.float32) -> np.ndarray:
    """Minimum, quartiles and maximum of each column, quantised to 0 … 65535 and strictly rising. Shape: (columns, 4)."""
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
