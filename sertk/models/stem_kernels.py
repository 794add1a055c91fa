"""Triton kernels of the stem in training: convolution of the features, BatchNorm, PReLU and mask (see fusedstem).

The stem's maps are not stored: each pass computes them from the features, since products of nine weights take less time than to
write and read their results. A map is a matrix of rows and channels as in normact_kernels, and sums are taken as there.
"""

import triton
import triton.language as tl

from sertk.models.normact_kernels import (
    VARYING,
    belongs,
    cells_of,
    channels_of,
    first_row,
    gradient_of_output,
    layer_of,
    slopes_of,
    store_slopes,
    store_statistics,
    through_activation,
)


@triton.jit
def _quotients(numbers, by):
    """Integer division of numbers of some thousands, for which a GPU has no instruction: of larger ones it takes dozens."""
    return ((numbers.to(tl.float32) + 0.5) / by.to(tl.float32)).to(tl.int32)


@triton.jit
def _patches(x, first, rows, plane, frames, ROWS: tl.constexpr):
    """The 3 × 3 cells around each cell of a tile of the features, 0 beyond their border, and 1: (rows, 16); ten are taken."""
    row, tap = first + tl.arange(0, ROWS), tl.arange(0, 16)
    bins = plane // frames
    frame = first % frames + tl.arange(0, ROWS)
    bin_ = first % plane // frames + _quotients(frame, frames)
    frame -= _quotients(frame, frames) * frames
    bin_ -= _quotients(bin_, bins) * bins
    up, later = tap // 3 - 1, tap % 3 - 1
    in_bins = (bin_[:, None] + up[None, :] >= 0) & (bin_[:, None] + up[None, :] < bins)
    in_frames = (frame[:, None] + later[None, :] >= 0) & (frame[:, None] + later[None, :] < frames)
    inside = (row < rows)[:, None] & (tap < 9)[None, :] & in_bins & in_frames
    found = tl.load(x + row[:, None] + (up * frames + later)[None, :], mask=inside, other=0.0)
    return tl.where((tap == 9)[None, :] & (row < rows)[:, None], 1.0, found.to(tl.float32)).to(x.dtype.element_ty)


@triton.jit
def _filters(stem, c, exists):
    """Weights: (16, channels), of which 9 rows are taken."""
    tap = tl.arange(0, 16)
    return tl.load(stem + c[None, :] * 9 + tap[:, None], mask=(tap < 9)[:, None] & exists[None, :], other=0.0)


@triton.jit
def _product(a, b):
    """Product of matrices, with exact products and float32's sums."""
    return tl.dot(a, b, input_precision="ieee")


@triton.jit(do_not_specialize=VARYING)
def stem_statistics(
    x, stem, partial, rows, channels, plane, frames, tiles, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """partial_statistics of the stem's maps."""
    c, exists = channels_of(channels, CHANNELS)
    filters = _filters(stem, c, exists)
    first = first_row(tiles - 1, tiles, ROWS)
    near = tl.sum(_product(_patches(x, first, rows, plane, frames, ROWS), filters), 0) / tl.minimum(rows - first, ROWS)
    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    square = tl.zeros((ROWS, CHANNELS), tl.float32)
    number = 0
    for turn in tl.range(0, tiles, num_stages=1):
        first = first_row(turn, tiles, ROWS)
        maps = _product(_patches(x, first, rows, plane, frames, ROWS), filters)
        apart = tl.where((first + tl.arange(0, ROWS) < rows)[:, None], maps - near[None, :], 0.0)
        total += apart
        square += apart * apart
        number += tl.maximum(tl.minimum(rows - first, ROWS), 0)
    store_statistics(partial, near, total, square, number, channels, c, exists)


@triton.jit(do_not_specialize=VARYING)
def stem_forward(
    x, stem, mask, mean, inverse, weight, bias, slope, out, rows, channels, plane, frames,
    MASKED: tl.constexpr, SLOPES: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Output: mask * act((maps - mean) * inverse * weight + bias)."""
    c, exists = channels_of(channels, CHANNELS)
    centre, _, gain, shift = layer_of(mean, inverse, weight, bias, c, exists)
    first = tl.program_id(0) * ROWS
    row, offsets, inside = cells_of(first, rows, c, exists, channels, ROWS)
    maps = _product(_patches(x, first, rows, plane, frames, ROWS), _filters(stem, c, exists))
    z = (maps - centre[None, :]) * gain[None, :] + shift[None, :]
    y = tl.where(z > 0, z, z * slopes_of(slope, c, exists, SLOPES)[None, :])
    if MASKED:
        y *= belongs(mask, row, rows, plane, frames)[:, None]
    tl.store(out + offsets, y.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=VARYING)
def stem_gradients(
    grad, other, x, stem, mask, mean, inverse, weight, bias, slope, sums, rows, channels, plane, frames, tiles, columns,
    TWO: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Sums over a span from which all gradients of the stem follow, (spans, columns); the maps are linear in the features.

    They are of the gradient before the activation times the 3 × 3 cells of the features, (16, channels), of those cells times
    themselves, (16, 16), and of the slopes' gradients, as in partial_gradients. Of 16 cells nine are taken, and the tenth is 1.
    """
    c, exists = channels_of(channels, CHANNELS)
    centre, _, gain, shift = layer_of(mean, inverse, weight, bias, c, exists)
    slopes = slopes_of(slope, c, exists, SLOPES)[None, :]
    filters, tap = _filters(stem, c, exists), tl.arange(0, 16)
    of_cells = tl.zeros((CHANNELS, 16), tl.float32)
    square = tl.zeros((16, 16), tl.float32)
    of_slope = tl.zeros((ROWS, CHANNELS), tl.float32)
    for turn in tl.range(0, tiles, num_stages=1):
        first = first_row(turn, tiles, ROWS)
        row, offsets, inside = cells_of(first, rows, c, exists, channels, ROWS)
        cells = _patches(x, first, rows, plane, frames, ROWS)
        z = (_product(cells, filters) - centre[None, :]) * gain[None, :] + shift[None, :]
        g = gradient_of_output(grad, other, mask, row, offsets, inside, rows, plane, frames, TWO, MASKED)
        more, g = through_activation(g, z, slopes)
        of_slope += more
        of_cells += _product(tl.trans(g.to(cells.dtype)), cells)
        square += _product(tl.trans(cells), cells)
    sums += tl.program_id(0) * columns
    tl.store(sums + tap[:, None] * channels + c[None, :], tl.trans(of_cells), mask=exists[None, :])
    sums += 16 * channels
    if tl.program_id(1) == 0:
        tl.store(sums + tap[:, None] * 16 + tap[None, :], square)
    store_slopes(sums + 256, of_slope, c, exists, SLOPES)
