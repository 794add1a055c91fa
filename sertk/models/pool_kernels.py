"""Triton kernels of the mean and deviation over frames, and of their gradient, each in one pass over the maps (see fusedpool).

Maps (batch, channels, bins, frames) lie in memory channels last. A program takes all frames of one bin of one chunk, and some
channels; a grid is (batch * bins, groups of channels). Sums are in float32.
"""

import triton
import triton.language as tl

VARYING = ["bins", "frames"]


@triton.jit
def _frames(x, channels, frames, FRAMES: tl.constexpr, CHANNELS: tl.constexpr):
    """Values of the program's frames, (frames, channels); where they are, which exist, and its channels."""
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    frame = tl.arange(0, FRAMES)
    inside = (frame < frames)[:, None] & (c < channels)[None, :]
    first = tl.program_id(0).to(tl.int64) * frames
    offsets = (first + frame)[:, None] * channels + c[None, :]
    return tl.load(x + offsets, mask=inside, other=0.0).to(tl.float32), offsets, inside, c


@triton.jit
def _moments(value, inside, frames, factor):
    """Differences from the mean, the mean, and the variance times a factor, of each channel.

    The division is exact to the last digit, so that the mean of a constant is mostly the constant: without an epsilon the
    gradient of its deviation would be that of rounding.
    """
    number = tl.zeros_like(tl.sum(value, 0)) + frames
    mean = tl.div_rn(tl.sum(value, 0), number)
    apart = tl.where(inside, value - mean[None, :], 0.0)
    return apart, mean, tl.sum(apart * apart, 0) / frames * factor


@triton.jit
def _places(c, channels, bins):
    """Of each channel's mean and deviation in a matrix (batch, 2 * channels * bins)."""
    chunk, bin_ = tl.program_id(0) // bins, tl.program_id(0) % bins
    mean = (2 * chunk * channels + c) * bins + bin_
    return mean, mean + channels * bins


@triton.jit(do_not_specialize=VARYING)
def pool_forward(
    x, out, channels, bins, frames, factor, epsilon, least, FRAMES: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """Mean, and the root of the variance plus epsilon, at least `least`."""
    value, _, inside, c = _frames(x, channels, frames, FRAMES, CHANNELS)
    _, mean, variance = _moments(value, inside, frames, factor)
    of_mean, of_deviation = _places(c, channels, bins)
    tl.store(out + of_mean, mean, mask=c < channels)
    tl.store(out + of_deviation, tl.sqrt_rn(tl.maximum(variance + epsilon, least)), mask=c < channels)


@triton.jit(do_not_specialize=VARYING)
def pool_backward(
    grad, x, grad_x, channels, bins, frames, factor, epsilon, least, FRAMES: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """Gradient of x."""
    value, offsets, inside, c = _frames(x, channels, frames, FRAMES, CHANNELS)
    apart, _, variance = _moments(value, inside, frames, factor)
    of_mean, of_deviation = _places(c, channels, bins)
    g_mean = tl.load(grad + of_mean, mask=c < channels, other=0.0)
    g_deviation = tl.load(grad + of_deviation, mask=c < channels, other=0.0)
    tilt = tl.where(
        variance + epsilon < least, 0.0, g_deviation * factor / tl.sqrt_rn(tl.maximum(variance + epsilon, least))
    )
    found = (g_mean[None, :] + apart * tilt[None, :]) / frames
    tl.store(grad_x + offsets, found.to(grad_x.dtype.element_ty), mask=inside)
