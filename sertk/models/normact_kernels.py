"""Triton kernels of BatchNorm, shortcut, PReLU and mask in one pass over the maps, forward and backward (see normact).

A map (batch, channels, bins, frames) lies in memory channels last: a matrix of one row for each cell of each chunk, one
column for each channel. A sum over rows is taken in two steps, partial sums of spans of rows and then their sum, always in
the same order: there are no atomic additions, so the same input gives the same bits. All sums are in float32.

A grid is (spans or tiles of rows, groups of channels).
"""

import triton
import triton.language as tl

# Numbers that differ from batch to batch: kernels are compiled once for all of them.
VARYING = ["rows", "plane", "frames", "tiles", "spans", "span_rows"]


@triton.jit
def _columns(channels, CHANNELS: tl.constexpr):
    """Channels of this program, and which of them exist."""
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    return c, c < channels


@triton.jit
def _cells(first, rows, c, exists, channels, ROWS: tl.constexpr):
    """Offsets of a tile of a map, and which of its cells exist; a large map has more than 2^31 cells."""
    row = first + tl.arange(0, ROWS)
    offsets = row.to(tl.int64)[:, None] * channels + c[None, :]
    return row, offsets, (row < rows)[:, None] & exists[None, :]


@triton.jit
def _slopes(slope, c, exists, SLOPES: tl.constexpr):
    """Slope of each channel. SLOPES: 0 (ReLU), 1 (one for all) or 2 (one for each channel)."""
    if SLOPES == 2:
        return tl.load(slope + c, mask=exists, other=0.0)
    if SLOPES == 1:
        return tl.load(slope) + tl.zeros_like(c).to(tl.float32)
    return tl.zeros_like(c).to(tl.float32)


@triton.jit
def _belongs(mask, row, rows, plane, frames):
    """1 where a row is a frame of its segment, 0 where it is padding; mask: (batch, frames), plane: bins * frames."""
    return tl.load(mask + (row // plane) * frames + row % frames, mask=row < rows, other=0).to(tl.float32)


@triton.jit(do_not_specialize=VARYING)
def partial_statistics(
    x, means, squares, rows, channels, tiles, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """Mean and sum of squared deviations of a span of `tiles` tiles: (spans, channels) each (Welford 1962)."""
    c, exists = _columns(channels, CHANNELS)
    first = tl.program_id(0) * tiles * ROWS
    mean = tl.zeros((ROWS, CHANNELS), tl.float32)
    square = tl.zeros((ROWS, CHANNELS), tl.float32)
    tile = 0
    while tile < tiles:  # the interpreter has no range of an argument
        _, offsets, inside = _cells(first + tile * ROWS, rows, c, exists, channels, ROWS)
        value = tl.load(x + offsets, mask=inside, other=0.0).to(tl.float32)
        apart = tl.where(inside, value - mean, 0.0)
        mean += apart / (tile + 1)
        square += tl.where(inside, apart * (value - mean), 0.0)
        tile += 1
    # How many values each lane has seen: the span's last rows may be missing.
    lane = tl.arange(0, ROWS)
    seen = tl.maximum(tl.minimum((rows - first - lane + ROWS - 1) // ROWS, tiles), 0).to(tl.float32)[:, None]
    total = tl.maximum(tl.minimum(rows - first, tiles * ROWS), 1).to(tl.float32)
    of_all = tl.sum(mean * seen, 0) / total
    apart = mean - of_all[None, :]
    place = tl.program_id(0) * channels + c
    tl.store(means + place, of_all, mask=exists)
    tl.store(squares + place, tl.sum(square + apart * apart * seen, 0), mask=exists)


@triton.jit(do_not_specialize=VARYING)
def whole_statistics(
    means, squares, mean, inverse, running_mean, running_var, count, rows, channels, spans, span_rows, eps, momentum,
    SPANS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Mean and 1 / sqrt(variance + eps) of all rows, and BatchNorm's running statistics; grid (1, groups of channels)."""
    c, exists = _columns(channels, CHANNELS)
    span = tl.arange(0, SPANS)
    inside = (span < spans)[:, None] & exists[None, :]
    offsets = span[:, None] * channels + c[None, :]
    seen = tl.maximum(tl.minimum(rows - span * span_rows, span_rows), 0).to(tl.float32)[:, None]
    of_span = tl.load(means + offsets, mask=inside, other=0.0)
    total = rows.to(tl.float32)
    of_all = tl.sum(of_span * seen, 0) / total
    apart = tl.where(inside, of_span - of_all[None, :], 0.0)
    square = tl.sum(tl.load(squares + offsets, mask=inside, other=0.0) + apart * apart * seen, 0)
    tl.store(mean + c, of_all, mask=exists)
    tl.store(inverse + c, 1.0 / tl.sqrt_rn(square / total + eps), mask=exists)
    before = tl.load(running_mean + c, mask=exists, other=0.0)
    tl.store(running_mean + c, before + momentum * (of_all - before), mask=exists)
    before = tl.load(running_var + c, mask=exists, other=0.0)
    tl.store(running_var + c, before + momentum * (square / (total - 1) - before), mask=exists)  # unbiased, as torch's
    if tl.program_id(1) == 0:
        tl.store(count, tl.load(count) + 1)


@triton.jit
def _before_activation(
    x, shortcut, offsets, inside, mean, inverse, weight, bias, c, exists, SHORTCUT: tl.constexpr
):  # fmt: skip
    """Normalised cells of a tile, and what the activation takes: those, scaled and shifted, with the shortcut added."""
    centre = tl.load(mean + c, mask=exists, other=0.0)[None, :]
    scale = tl.load(inverse + c, mask=exists, other=0.0)[None, :]
    gain = tl.load(weight + c, mask=exists, other=0.0)[None, :]
    shift = tl.load(bias + c, mask=exists, other=0.0)[None, :]
    normal = (tl.load(x + offsets, mask=inside, other=0.0).to(tl.float32) - centre) * scale
    z = normal * gain + shift
    if SHORTCUT:
        z += tl.load(shortcut + offsets, mask=inside, other=0.0).to(tl.float32)
    return normal, z


@triton.jit(do_not_specialize=VARYING)
def norm_act_forward(
    x, shortcut, mask, mean, inverse, weight, bias, slope, out, rows, channels, plane, frames,
    SHORTCUT: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Output: mask * act((x - mean) * inverse * weight + bias + shortcut)."""
    c, exists = _columns(channels, CHANNELS)
    row, offsets, inside = _cells(tl.program_id(0) * ROWS, rows, c, exists, channels, ROWS)
    _, z = _before_activation(x, shortcut, offsets, inside, mean, inverse, weight, bias, c, exists, SHORTCUT)
    y = tl.where(z > 0, z, z * _slopes(slope, c, exists, SLOPES)[None, :])
    if MASKED:
        y *= _belongs(mask, row, rows, plane, frames)[:, None]
    tl.store(out + offsets, y.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=VARYING)
def partial_gradients(
    grad, x, shortcut, mask, mean, inverse, weight, bias, slope, grad_z, sums, rows, channels, plane, frames, tiles,
    SHORTCUT: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradient before the activation, and its sums over a span: those of bias, weight and slope, (3, spans, channels).

    The gradient itself is stored where there is a shortcut, of which it is the gradient.
    """
    c, exists = _columns(channels, CHANNELS)
    first = tl.program_id(0) * tiles * ROWS
    of_bias = tl.zeros((ROWS, CHANNELS), tl.float32)
    of_weight = tl.zeros((ROWS, CHANNELS), tl.float32)
    of_slope = tl.zeros((ROWS, CHANNELS), tl.float32)
    tile = 0
    while tile < tiles:  # the interpreter has no range of an argument
        row, offsets, inside = _cells(first + tile * ROWS, rows, c, exists, channels, ROWS)
        normal, z = _before_activation(x, shortcut, offsets, inside, mean, inverse, weight, bias, c, exists, SHORTCUT)
        g = tl.load(grad + offsets, mask=inside, other=0.0).to(tl.float32)
        if MASKED:
            g *= _belongs(mask, row, rows, plane, frames)[:, None]
        of_slope += tl.where(z > 0, 0.0, g * z)
        g = tl.where(z > 0, g, g * _slopes(slope, c, exists, SLOPES)[None, :])
        if SHORTCUT:
            stored = g.to(grad_z.dtype.element_ty)
            tl.store(grad_z + offsets, stored, mask=inside)
            g = stored.to(tl.float32)  # norm_act_backward reads it, and what it subtracts must be the sums of that
        of_bias += g
        of_weight += g * normal
        tile += 1
    spans = tl.num_programs(0)
    place = tl.program_id(0) * channels + c
    tl.store(sums + place, tl.sum(of_bias, 0), mask=exists)
    tl.store(sums + spans * channels + place, tl.sum(of_weight, 0), mask=exists)
    tl.store(sums + 2 * spans * channels + place, tl.sum(of_slope, 0), mask=exists)


@triton.jit(do_not_specialize=VARYING)
def whole_gradients(sums, totals, channels, spans, SPANS: tl.constexpr, CHANNELS: tl.constexpr):
    """(3, spans, channels) summed over the spans: (3, channels); grid (3, groups of channels)."""
    c, exists = _columns(channels, CHANNELS)
    span = tl.arange(0, SPANS)
    offsets = (tl.program_id(0) * spans + span)[:, None] * channels + c[None, :]
    of_span = tl.load(sums + offsets, mask=(span < spans)[:, None] & exists[None, :], other=0.0)
    tl.store(totals + tl.program_id(0) * channels + c, tl.sum(of_span, 0), mask=exists)


@triton.jit(do_not_specialize=VARYING)
def norm_act_backward(
    grad, x, grad_z, mask, mean, inverse, weight, bias, slope, totals, grad_x, rows, channels, plane, frames,
    SHORTCUT: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradient of x, through the batch's statistics too."""
    c, exists = _columns(channels, CHANNELS)
    row, offsets, inside = _cells(tl.program_id(0) * ROWS, rows, c, exists, channels, ROWS)
    normal, z = _before_activation(x, x, offsets, inside, mean, inverse, weight, bias, c, exists, False)
    if SHORTCUT:
        g = tl.load(grad_z + offsets, mask=inside, other=0.0).to(tl.float32)
    else:
        g = tl.load(grad + offsets, mask=inside, other=0.0).to(tl.float32)
        if MASKED:
            g *= _belongs(mask, row, rows, plane, frames)[:, None]
        g = tl.where(z > 0, g, g * _slopes(slope, c, exists, SLOPES)[None, :])
    total = rows.to(tl.float32)
    shift = (tl.load(totals + c, mask=exists, other=0.0) / total)[None, :]
    tilt = (tl.load(totals + channels + c, mask=exists, other=0.0) / total)[None, :]
    gain = tl.load(weight + c, mask=exists, other=0.0) * tl.load(inverse + c, mask=exists, other=0.0)
    tl.store(grad_x + offsets, (gain[None, :] * (g - shift - normal * tilt)).to(grad_x.dtype.element_ty), mask=inside)
