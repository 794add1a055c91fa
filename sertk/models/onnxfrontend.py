"""The front end as ONNX nodes: samples in, normalised features out.

The Fourier transform is a product with a matrix that has the window in it: a frame's mean and pre-emphasis come first,
so that little cancels in float32.
"""

import numpy as np

from sertk.frontend.audio import SCALE
from sertk.frontend.cmvn import ROUNDING, VAR_FLOOR
from sertk.frontend.fbank import FLOOR, mel_filters, window
from sertk.frontend.options import FbankOptions
from sertk.models.onnxgraph import Graph


def front_end_nodes(graph: Graph, options: FbankOptions, cmvn: str) -> tuple[str, str, str]:
    """Features (batch, frames, bins); whether a recording has sound and a frame (batch,); its frames (batch,), at least 1."""
    samples = graph.add("Mul", "samples", np.float32(SCALE))
    lengths = graph.add("Min", "lengths", graph.size(samples, 1))
    valid = _has_sound(graph, samples, lengths)
    if options.snip_edges:
        room = graph.add("Max", graph.add("Sub", lengths, options.length - options.shift), 0)
        frames = graph.add("Div", room, options.shift)
    else:
        frames = graph.add("Div", graph.add("Add", lengths, options.shift // 2), options.shift)
    valid = graph.add("And", valid, graph.add("Greater", frames, 0))
    frames = graph.add("Max", frames, 1)
    most = graph.add("ReduceMax", frames, keepdims=1)
    if options.sample_scale != 1:
        samples = graph.add("Mul", samples, np.float32(options.sample_scale))
    raw = _frames(graph, options, samples, lengths, most)
    feats = _log_mel(graph, options, raw)
    if cmvn != "none":
        feats, _ = normalised(graph, feats, frames, most, norm_vars=cmvn == "segment")
    return feats, valid, frames


def _has_sound(graph: Graph, samples: str, lengths: str) -> str:
    """As check_sound and finite: (batch,) boolean."""
    inside = graph.below(lengths, graph.size(samples, 1))
    first = graph.add("Slice", samples, [0], [1], [1])
    known = graph.add("Where", inside, samples, first)
    high, low = (graph.add(f"Reduce{name}", known, [1], keepdims=0) for name in ("Max", "Min"))
    loud = graph.add("GreaterOrEqual", graph.add("Sub", high, low), np.float32(1))
    # NaN or infinite samples times 0 are NaN, and so is their sum.
    total = graph.add("ReduceSum", graph.add("Mul", known, np.float32(0)), [1], keepdims=0)
    return graph.add("And", loud, graph.add("Equal", total, np.float32(0)))


def _frames(graph: Graph, options: FbankOptions, samples: str, lengths: str, most: str) -> str:
    """Frames of samples, (batch, frames, length)."""
    starts = graph.add("Unsqueeze", graph.add("Mul", graph.range(most), options.shift), [1])
    index = graph.add("Add", starts, np.arange(options.length))
    if options.snip_edges:
        # The last frame of a batch that is shorter than a frame reaches beyond the end.
        need = graph.add("Add", graph.add("Mul", graph.add("Sub", most, 1), options.shift), options.length)
        lacking = graph.add("Max", graph.add("Sub", need, graph.size(samples, 1)), 0)
        samples = graph.add("Pad", samples, graph.add("Concat", [0, 0, 0], lacking, axis=0))
        return graph.add("Gather", samples, index, axis=1)
    # Mirrored at both ends, again and again where a recording is shorter than what is to be mirrored.
    index = graph.add("Sub", index, options.length // 2 - options.shift // 2)
    size = graph.add("Unsqueeze", graph.add("Max", lengths, 1), [1, 2])
    twice = graph.add("Mul", size, 2)
    place = graph.add("Mod", graph.add("Unsqueeze", index, [0]), twice)
    mirrored = graph.add("Sub", graph.add("Sub", twice, 1), place)
    place = graph.add("Where", graph.add("Less", place, size), place, mirrored)
    flat = graph.add("Reshape", place, [0, -1])
    picked = graph.add("GatherElements", samples, flat, axis=1)
    return graph.add("Reshape", picked, graph.add("Shape", place))


def _log_mel(graph: Graph, options: FbankOptions, frames: str) -> str:
    """(batch, frames, length) -> (batch, frames, bins)."""
    if options.remove_dc_offset:
        frames = graph.add("Sub", frames, graph.add("ReduceMean", frames, [2], keepdims=1))
    energy = _energy(graph, options, frames) if options.use_energy and options.raw_energy else None
    if options.preemphasis_coefficient:
        first, rest = (graph.add("Slice", frames, [0], [end], [2]) for end in (1, -1))
        before = graph.add("Concat", first, rest, axis=2)
        frames = graph.add("Sub", frames, graph.add("Mul", before, np.float32(options.preemphasis_coefficient)))
    taper = window(options)
    if options.use_energy and not options.raw_energy:
        energy = _energy(graph, options, graph.add("Mul", frames, taper))
    filters = mel_filters(options)
    used = np.flatnonzero(filters.any(axis=1))
    used = np.arange(used[0], used[-1] + 1)
    turn = 2 * np.pi / options.fft_length * (np.outer(np.arange(options.length), used) % options.fft_length)
    transform = np.concatenate([np.cos(turn), np.sin(turn)], axis=1) * taper[:, None].astype(np.float64)
    spectrum = graph.add("MatMul", frames, transform.astype(np.float32))
    power = graph.add("Mul", spectrum, spectrum)
    # Real and imaginary parts side by side: the filters have every row twice.
    mel = graph.add("MatMul", power, np.concatenate([filters[used]] * 2))
    feats = graph.add("Log", graph.add("Max", mel, np.float32(FLOOR)))
    if energy is None:
        return feats
    return graph.add("Concat", *((feats, energy) if options.htk_compat else (energy, feats)), axis=2)


def _energy(graph: Graph, options: FbankOptions, frames: str) -> str:
    power = graph.add("ReduceSum", graph.add("Mul", frames, frames), [2], keepdims=1)
    return graph.add("Log", graph.add("Max", power, np.float32(max(FLOOR, options.energy_floor))))


def normalised(graph: Graph, feats: str, frames: str, most: str, norm_vars: bool) -> tuple[str, tuple[str, str]]:
    """Mean 0 and, with `norm_vars`, variance 1 over each recording's frames; constant bins, and all padding, are 0.

    Returns:
        (batch, frames, bins), and the mean and, with `norm_vars`, variance of the bins, (batch, 1, bins) each.
    """
    inside = graph.below(frames, most)
    column = graph.add("Unsqueeze", inside, [2])
    row = graph.floats(graph.add("Unsqueeze", inside, [1]))
    count = graph.floats(graph.add("Unsqueeze", frames, [1, 2]))

    def mean(values: str) -> str:
        return graph.add("Div", graph.add("MatMul", row, values), count)

    known = graph.add("Where", column, feats, graph.add("Slice", feats, [0], [1], [1]))
    high, low = (graph.add(f"Reduce{name}", known, [1], keepdims=1) for name in ("Max", "Min"))
    varies = graph.floats(graph.add("Greater", high, low))
    present = graph.floats(column)
    first = mean(feats)
    centred = graph.add("Mul", graph.add("Sub", known, first), present)
    # Sums of a long recording are rounded: what is left of the mean would count as the deviation of a constant bin.
    rest = mean(centred)
    level, normal = graph.add("Add", first, rest), graph.add("Mul", graph.add("Sub", centred, rest), present)
    variance = ""
    if norm_vars:
        variance = mean(graph.add("Mul", normal, normal))
        least = graph.add("Mul", graph.add("Max", graph.add("Abs", level), np.float32(1)), np.float32(ROUNDING))
        above = graph.floats(graph.add("Greater", variance, graph.add("Mul", least, least)))
        varies = graph.add("Mul", varies, above)
        variance = graph.add("Mul", variance, varies)
        varies = graph.add("Div", varies, graph.add("Sqrt", graph.add("Max", variance, np.float32(VAR_FLOOR))))
    return graph.add("Mul", normal, varies), (level, variance)
