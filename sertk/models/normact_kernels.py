"""Triton kernels of BatchNorm, shortcut, PReLU and mask in one pass over the maps, forward and backward (see fusednormact).

A map (batch, channels, bins, frames) lies in memory channels last: a matrix of one row for each cell of each chunk, one
column for each channel. A sum over rows is taken in two steps, partial sums of spans of tiles and then their sum, always in
the same order: there are no atomic additions, so the same input gives the same bits. All sums are in float32. While a program
adds a tile of its span, the next ones are read (STAGES).

A grid is (spans or tiles of rows, groups of channels).
"""

import triton
import triton.language as tl

# Numbers that differ from batch to batch: kernels are compiled once for all of them.
VARYING = ["rows", "plane", "frames", "tiles", "spans", "columns"]


@triton.jit
def channels_of(channels, CHANNELS: tl.constexpr):
    """Channels of this program, and which of them exist."""
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    return c, c < channels


@triton.jit
def first_row(turn, tiles, ROWS: tl.constexpr):
    """First row of the tile that this program takes in a turn.

    Of n spans each has every n-th tile, the last one first: the end of a map has just been written, and is in the cache.
    """
    return ((tiles - 1 - turn) * tl.num_programs(0) + tl.program_id(0)) * ROWS


@triton.jit
def cells_of(first, rows, c, exists, channels, ROWS: tl.constexpr):
    """Rows of a tile of a map, offsets of its cells, and which of them exist; a large map has more than 2^31 cells."""
    row = first + tl.arange(0, ROWS)
    offsets = row.to(tl.int64)[:, None] * channels + c[None, :]
    return row, offsets, (row < rows)[:, None] & exists[None, :]


@triton.jit
def slopes_of(slope, c, exists, SLOPES: tl.constexpr):
    """Slope of each channel. SLOPES: 0 (ReLU), 1 (one for all), 2 (one for each channel) or 3 (no activation)."""
    if SLOPES == 3:
        return tl.zeros_like(c).to(tl.float32) + 1.0
    if SLOPES == 2:
        return tl.load(slope + c, mask=exists, other=0.0)
    if SLOPES == 1:
        return tl.load(slope) + tl.zeros_like(c).to(tl.float32)
    return tl.zeros_like(c).to(tl.float32)


@triton.jit
def belongs(mask, row, rows, plane, frames):
    """1 where a row is a frame of its segment, 0 where it is padding; mask: (batch, frames), plane: bins * frames."""
    return tl.load(mask + (row // plane) * frames + row % frames, mask=row < rows, other=0).to(tl.float32)


@triton.jit
def gradient_of_output(
    grad, other, mask, row, offsets, inside, rows, plane, frames, TWO: tl.constexpr, MASKED: tl.constexpr
):  # fmt: skip
    """Gradient of a tile of the output, which is the sum of two where two layers took it."""
    g = tl.load(grad + offsets, mask=inside, other=0.0).to(tl.float32)
    if TWO:
        g += tl.load(other + offsets, mask=inside, other=0.0).to(tl.float32)
    if MASKED:
        g *= belongs(mask, row, rows, plane, frames)[:, None]
    return g


@triton.jit
def through_activation(g, z, slopes):
    """Gradients of the slope and of what the activation takes."""
    return tl.where(z > 0, 0.0, g * z), tl.where(z > 0, g, g * slopes)


@triton.jit
def layer_of(mean, inverse, weight, bias, c, exists):
    """Of each channel: mean, 1 / deviation, and what maps less their mean are multiplied by and what is added to them."""
    centre = tl.load(mean + c, mask=exists, other=0.0)
    scale = tl.load(inverse + c, mask=exists, other=0.0)
    gain = tl.load(weight + c, mask=exists, other=0.0)
    shift = tl.load(bias + c, mask=exists, other=0.0)
    return centre, scale, gain * scale, shift


@triton.jit
def apart_from(maps, offsets, inside, centre):
    """A tile of maps less their mean, in float32."""
    return tl.load(maps + offsets, mask=inside, other=0.0).to(tl.float32) - centre[None, :]


@triton.jit
def store_statistics(partial, near, total, square, number, channels, c, exists):
    """A span's statistics, from sums of the differences from a number for each channel: a row of partial_statistics."""
    partial += tl.program_id(0) * (2 * channels + 1)
    number = number.to(tl.float32)
    shift = tl.sum(total, 0) / number
    tl.store(partial + c, near + shift, mask=exists)
    tl.store(partial + channels + c, tl.maximum(tl.sum(square, 0) - number * shift * shift, 0.0), mask=exists)
    if tl.program_id(1) == 0:
        tl.store(partial + 2 * channels, number)


@triton.jit(do_not_specialize=VARYING)
def partial_statistics(
    x, partial, rows, channels, tiles, ROWS: tl.constexpr, CHANNELS: tl.constexpr, STAGES: tl.constexpr
):  # fmt: skip
    """Means and sums of squared deviations of a span of `tiles` tiles, and its number of rows: (spans, 2 * channels + 1).

    Sums are of differences from the mean of one tile (Chan, Golub and LeVeque 1983, shifted data): a large mean does not
    cost precision, and values do not wait for each other as in a running mean.
    """
    c, exists = channels_of(channels, CHANNELS)
    first = first_row(tiles - 1, tiles, ROWS)
    _, offsets, inside = cells_of(first, rows, c, exists, channels, ROWS)
    near = tl.sum(tl.load(x + offsets, mask=inside, other=0.0).to(tl.float32), 0) / tl.minimum(rows - first, ROWS)
    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    square = tl.zeros((ROWS, CHANNELS), tl.float32)
    number = 0
    for turn in tl.range(0, tiles, num_stages=STAGES):
        first = first_row(turn, tiles, ROWS)
        _, offsets, inside = cells_of(first, rows, c, exists, channels, ROWS)
        apart = tl.where(inside, apart_from(x, offsets, inside, near), 0.0)
        total += apart
        square += apart * apart
        number += tl.maximum(tl.minimum(rows - first, ROWS), 0)
    store_statistics(partial, near, total, square, number, channels, c, exists)


@triton.jit(do_not_specialize=VARYING)
def whole_statistics(
    partial, mean, inverse, running_mean, running_var, count, rows, channels, spans, eps, momentum,
    SPANS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Mean and 1 / sqrt(variance + eps) of all rows, and BatchNorm's running statistics; grid (1, groups of channels)."""
    c, exists = channels_of(channels, CHANNELS)
    span = tl.arange(0, SPANS)
    inside = (span < spans)[:, None] & exists[None, :]
    of_span = partial + span[:, None] * (2 * channels + 1)
    number = tl.load(of_span + 2 * channels, mask=(span < spans)[:, None], other=0.0)
    means = tl.load(of_span + c[None, :], mask=inside, other=0.0)
    total = rows.to(tl.float32)
    of_all = tl.sum(means * number, 0) / total
    apart = tl.where(inside, means - of_all[None, :], 0.0)
    squares = tl.load(of_span + channels + c[None, :], mask=inside, other=0.0)
    square = tl.sum(squares + apart * apart * number, 0)
    tl.store(mean + c, of_all, mask=exists)
    tl.store(inverse + c, 1.0 / tl.sqrt_rn(square / total + eps), mask=exists)
    before = tl.load(running_mean + c, mask=exists, other=0.0)
    tl.store(running_mean + c, before + momentum * (of_all - before), mask=exists)
    before = tl.load(running_var + c, mask=exists, other=0.0)
    tl.store(running_var + c, before + momentum * (square / (total - 1) - before), mask=exists)  # unbiased, as torch's
    if tl.program_id(1) == 0:
        tl.store(count, tl.load(count) + 1)


@triton.jit
def _before_activation(apart, shortcut, offsets, inside, gain, shift, SHORTCUT: tl.constexpr):
    """What the activation takes: maps less their mean, scaled and shifted; a shortcut that is a map is added."""
    z = apart * gain[None, :] + shift[None, :]
    if SHORTCUT == 1:
        z += tl.load(shortcut + offsets, mask=inside, other=0.0).to(tl.float32)
    return z


@triton.jit(do_not_specialize=VARYING)
def norm_act_forward(
    x, shortcut, mean2, inverse2, weight2, bias2, mask, mean, inverse, weight, bias, slope, out,
    rows, channels, plane, frames,
    SHORTCUT: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Output: mask * act((x - mean) * inverse * weight + bias + shortcut)."""
    c, exists = channels_of(channels, CHANNELS)
    centre, _, gain, shift = layer_of(mean, inverse, weight, bias, c, exists)
    if SHORTCUT == 2:
        centre2, _, gain2, shift2 = layer_of(mean2, inverse2, weight2, bias2, c, exists)
        shift += shift2
    row, offsets, inside = cells_of(tl.program_id(0) * ROWS, rows, c, exists, channels, ROWS)
    apart = apart_from(x, offsets, inside, centre)
    z = _before_activation(apart, shortcut, offsets, inside, gain, shift, SHORTCUT)
    if SHORTCUT == 2:
        z += apart_from(shortcut, offsets, inside, centre2) * gain2[None, :]
    y = tl.where(z > 0, z, z * slopes_of(slope, c, exists, SLOPES)[None, :])
    if MASKED:
        y *= belongs(mask, row, rows, plane, frames)[:, None]
    tl.store(out + offsets, y.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=VARYING)
def partial_gradients(
    grad, other, x, shortcut, mean2, inverse2, weight2, bias2, mask, mean, inverse, weight, bias, slope, grad_shortcut, sums,
    rows, channels, plane, frames, tiles, columns,
    TWO: tl.constexpr, SHORTCUT: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Gradient before the activation, and its sums over a span, (spans, columns): the gradients of bias, weight and slope.

    The gradient itself is stored where the shortcut is a map, of which it is the gradient. Of one with a BatchNorm, the gradient
    of bias2 is that of bias, and that of weight2 comes after that of weight. Of the slopes' sums there is one for each channel,
    or one for each group of channels if they have one slope.
    """
    c, exists = channels_of(channels, CHANNELS)
    centre, _, gain, shift = layer_of(mean, inverse, weight, bias, c, exists)
    if SHORTCUT == 2:
        centre2, _, gain2, shift2 = layer_of(mean2, inverse2, weight2, bias2, c, exists)
        shift += shift2
    slopes = slopes_of(slope, c, exists, SLOPES)[None, :]
    of_bias = tl.zeros((ROWS, CHANNELS), tl.float32)
    of_weight = tl.zeros((ROWS, CHANNELS), tl.float32)
    of_slope = tl.zeros((ROWS, CHANNELS), tl.float32)
    of_weight2 = tl.zeros((ROWS, CHANNELS), tl.float32)
    for turn in tl.range(0, tiles, num_stages=STAGES):
        row, offsets, inside = cells_of(first_row(turn, tiles, ROWS), rows, c, exists, channels, ROWS)
        apart = apart_from(x, offsets, inside, centre)
        z = _before_activation(apart, shortcut, offsets, inside, gain, shift, SHORTCUT)
        if SHORTCUT == 2:
            apart2 = apart_from(shortcut, offsets, inside, centre2)
            z += apart2 * gain2[None, :]
        g = gradient_of_output(grad, other, mask, row, offsets, inside, rows, plane, frames, TWO, MASKED)
        more, g = through_activation(g, z, slopes)
        if SHORTCUT == 1:
            stored = g.to(grad_shortcut.dtype.element_ty)
            tl.store(grad_shortcut + offsets, stored, mask=inside)
            g = stored.to(tl.float32)  # norm_act_backward reads it, and what it subtracts must be the sums of that
        of_bias += g
        of_weight += g * apart
        if SHORTCUT == 2:
            of_weight2 += g * apart2
        of_slope += more
    sums += tl.program_id(0) * columns
    tl.store(sums + c, tl.sum(of_bias, 0), mask=exists)
    _store_weights(sums + channels, of_weight, inverse, c, exists)
    sums += 2 * channels
    if SHORTCUT == 2:
        _store_weights(sums, of_weight2, inverse2, c, exists)
        sums += channels
    store_slopes(sums, of_slope, c, exists, SLOPES)


@triton.jit
def _store_weights(sums, of_weight, inverse, c, exists):
    scale = tl.load(inverse + c, mask=exists, other=0.0)  # loaded before the loop, it would take registers there
    tl.store(sums + c, tl.sum(of_weight, 0) * scale, mask=exists)


@triton.jit
def store_slopes(sums, of_slope, c, exists, SLOPES: tl.constexpr):
    """Sums of the slopes' gradients: of each channel, or of all of this program's if they have one slope."""
    if SLOPES == 1:
        tl.store(sums + tl.program_id(1), tl.sum(of_slope))
    else:
        tl.store(sums + c, tl.sum(of_slope, 0), mask=exists)


@triton.jit(do_not_specialize=VARYING)
def sum_of_spans(sums, totals, columns, spans, SPANS: tl.constexpr, COLUMNS: tl.constexpr):
    """(spans, columns) summed over the spans: (columns,); grid (groups of columns,)."""
    column, span = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS), tl.arange(0, SPANS)
    inside = (span < spans)[:, None] & (column < columns)[None, :]
    found = tl.load(sums + span[:, None] * columns + column[None, :], mask=inside, other=0.0)
    tl.store(totals + column, tl.sum(found, 0), mask=column < columns)


@triton.jit
def _through_statistics(g, apart, totals, scale, gain, rows, channels, c, exists, KIND: tl.constexpr):
    """Gradient of the maps from that before the activation: the batch's statistics depend on them too.

    KIND: of the totals, that of their BatchNorm's weight.
    """
    total = rows.to(tl.float32)
    shift = tl.load(totals + c, mask=exists, other=0.0) / total
    tilt = tl.load(totals + KIND * channels + c, mask=exists, other=0.0) / total * scale
    return gain[None, :] * (g - shift[None, :] - apart * tilt[None, :])


@triton.jit(do_not_specialize=VARYING)
def norm_act_backward(
    grad, other, x, shortcut, mean2, inverse2, weight2, bias2, mask, mean, inverse, weight, bias, slope, grad_shortcut, totals,
    grad_x, rows, channels, plane, frames,
    TWO: tl.constexpr, SHORTCUT: tl.constexpr, MASKED: tl.constexpr, SLOPES: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradients of x and of a shortcut with a BatchNorm; that of another shortcut is read, as partial_gradients stored it."""
    c, exists = channels_of(channels, CHANNELS)
    centre, scale, gain, shift = layer_of(mean, inverse, weight, bias, c, exists)
    if SHORTCUT == 2:
        centre2, scale2, gain2, shift2 = layer_of(mean2, inverse2, weight2, bias2, c, exists)
        shift += shift2
    row, offsets, inside = cells_of(tl.program_id(0) * ROWS, rows, c, exists, channels, ROWS)
    apart = apart_from(x, offsets, inside, centre)
    if SHORTCUT == 1:
        g = tl.load(grad_shortcut + offsets, mask=inside, other=0.0).to(tl.float32)
    else:
        g = gradient_of_output(grad, other, mask, row, offsets, inside, rows, plane, frames, TWO, MASKED)
        z = _before_activation(apart, x, offsets, inside, gain, shift, False)
        if SHORTCUT == 2:
            apart2 = apart_from(shortcut, offsets, inside, centre2)
            z += apart2 * gain2[None, :]
        _, g = through_activation(g, z, slopes_of(slope, c, exists, SLOPES)[None, :])
    found = _through_statistics(g, apart, totals, scale, gain, rows, channels, c, exists, 1)
    tl.store(grad_x + offsets, found.to(grad_x.dtype.element_ty), mask=inside)
    if SHORTCUT == 2:
        found = _through_statistics(g, apart2, totals, scale2, gain2, rows, channels, c, exists, 2)
        tl.store(grad_shortcut + offsets, found.to(grad_shortcut.dtype.element_ty), mask=inside)
