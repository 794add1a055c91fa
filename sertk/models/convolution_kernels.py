"""Triton kernel of a 3 × 3 convolution of 32 channels, and of BatchNorm's partial statistics of its output (see convolution).

A column is a frame of a chunk, with all its bins; columns of all chunks follow each other. A program goes through the bins of
COLUMNS of them: each bin of the input is read once, and multiplied into those of the output before, at and after it. Programs
get the same number of steps, and may begin and end anywhere in a column. Products are of bf16, sums in float32, in a fixed order.
"""

import triton
import triton.language as tl

VARYING = ["columns", "bins", "frames", "steps"]


@triton.jit
def _weights(weight, row, tap, k, TURNED: tl.constexpr):
    """Weights of a row from a tap on: (inputs, 32); inputs k are 32 channels for each tap.

    In memory they lie as (out, row, tap, in). TURNED: those of the gradient of the input, which is a convolution with in and out
    exchanged, rows and taps in reverse.
    """
    c, tap, channel = tl.arange(0, 32)[None, :], (tap + k // 32)[:, None], (k % 32)[:, None]
    if TURNED:
        return tl.load(weight + channel * 288 + (2 - row) * 96 + (2 - tap) * 32 + c)
    return tl.load(weight + c * 288 + row * 96 + tap * 32 + channel)


@triton.jit
def _in_registers(cells):
    """The same cells. An operation between load and product has the product take them from registers, not from shared memory.

    It takes a quarter less time: without it all products of a step wait for one another.
    """
    return (cells.to(tl.int16, bitcast=True) ^ 0).to(tl.bfloat16, bitcast=True)


@triton.jit
def _rounded(values):
    """Numbers with bf16's digits, in float32 (Dekker 1971): two fast instructions, where conversion there and back is slow."""
    return tl.fma(values, -65536.0, values * 65537.0)


@triton.jit
def _own_sums(values, COLUMNS: tl.constexpr):
    """Sums of what each thread holds, which are in rows eight apart: (COLUMNS, 32) to (COLUMNS / 16, 8, 32)."""
    return tl.sum(tl.reshape(values, (COLUMNS // 16, 2, 8, 32)), 1)


@triton.jit(do_not_specialize=VARYING)
def thin_convolution(
    x, weight, out, near, partial, columns, bins, frames, steps,
    TURNED: tl.constexpr, SUMS: tl.constexpr, COLUMNS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Output, and of each program's part of it partial_statistics' sums; grid: programs, each of `steps` bins of columns.

    Their values are less the numbers `near`, about their mean, so that a large mean does not cost precision.
    """
    c, k = tl.arange(0, 32), tl.arange(0, 64)
    # Of the frame before a column's and its own, and of the frame after: from the bins before, at and after the output's.
    two_before, one_before = _weights(weight, 0, 0, k, TURNED), _weights(weight, 0, 2, c, TURNED)
    two_at, one_at = _weights(weight, 1, 0, k, TURNED), _weights(weight, 1, 2, c, TURNED)
    two_after, one_after = _weights(weight, 2, 0, k, TURNED), _weights(weight, 2, 2, c, TURNED)
    line = frames * 32
    total = tl.zeros((COLUMNS // 16, 8, 32), tl.float32)
    square = tl.zeros((COLUMNS // 16, 8, 32), tl.float32)
    about, number = tl.zeros((32,), tl.float32), 0
    if SUMS:
        about = tl.load(near + c)
    at = tl.program_id(0) * steps
    end = tl.minimum(at + steps, tl.cdiv(columns, COLUMNS) * bins)
    while at < end:
        tile = at // bins
        first = at - tile * bins - 1  # bin of the first input
        own = tl.minimum(bins - 1 - first, end - at)
        chunk = tile * COLUMNS // frames
        column = tile * COLUMNS - chunk * frames + tl.arange(0, COLUMNS)
        frame = column % frames
        exists = tl.arange(0, COLUMNS) < columns - tile * COLUMNS
        two_exist = exists[:, None] & (frame[:, None] + k[None, :] // 32 > 0)
        one_exists = (exists & (frame < frames - 1))[:, None]
        place = (column // frames * bins * line + frame * 32)[:, None]
        source = x + (chunk.to(tl.int64) * bins + first) * line
        target = out + (chunk.to(tl.int64) * bins + first - 1) * line
        next_, after_next = tl.zeros((COLUMNS, 32), tl.float32), tl.zeros((COLUMNS, 32), tl.float32)
        for step in tl.range(0, own + 2, num_stages=STAGES):
            inside = (first + step >= 0) & (first + step < bins)
            two = tl.load(source + step * line - 32 + place + k[None, :], mask=two_exist & inside, other=0.0)
            one = tl.load(source + step * line + 32 + place + c[None, :], mask=one_exists & inside, other=0.0)
            two, one = _in_registers(two), _in_registers(one)
            done = tl.dot(one, one_after, tl.dot(two, two_after, next_))
            # Choices that are always the first: a plain exchange would have every product wait for the one before.
            next_ = tl.where(first + step >= -1, tl.dot(one, one_at, tl.dot(two, two_at, after_next)), 0.0)
            after_next = tl.where(first + step >= -1, tl.dot(one, one_before, tl.dot(two, two_before)), 0.0)
            written = exists[:, None] & (step >= 2)  # the first two are of bins before the program's own
            tl.store(target + step * line + place + c[None, :], done.to(tl.bfloat16), mask=written)
            if SUMS:
                apart = tl.where(written, _rounded(done) - about[None, :], 0.0)
                total += _own_sums(apart, COLUMNS)
                square += _own_sums(apart * apart, COLUMNS)
        number += own * tl.minimum(columns - tile * COLUMNS, COLUMNS)
        at += own
    if SUMS:
        count = tl.maximum(number, 1).to(tl.float32)
        shift = tl.sum(tl.sum(total, 0), 0) / count
        partial += tl.program_id(0) * 65
        tl.store(partial + c, about + shift)
        tl.store(partial + 32 + c, tl.maximum(tl.sum(tl.sum(square, 0), 0) - count * shift * shift, 0.0))
        tl.store(partial + 64, number.to(tl.float32))
