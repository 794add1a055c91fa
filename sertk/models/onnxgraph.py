"""A model as an ONNX graph: samples in, posteriors or embedding out, with the front end in it.

The graph is built node by node from the fused network, without tracing. The Fourier transform is a product with a matrix
that has the window in it: a frame's mean and pre-emphasis come first, so that little cancels in float32.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from sertk import __version__
from sertk.atomic import atomic_file
from sertk.errors import SertkError
from sertk.frontend.audio import SCALE
from sertk.frontend.cmvn import VAR_FLOOR
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.fbank import FLOOR, mel_filters, window
from sertk.frontend.options import FbankOptions
from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.calibrated import temperature_of
from sertk.models.cosine import CosineOutput
from sertk.models.fuse import for_evaluation
from sertk.models.modelfile import Model, check_outputs
from sertk.models.onnxfile import DIGEST, FORMAT, OUTPUTS, PREFIX, UNSIGNED, sealed
from sertk.models.pooling import TINY, AttentivePool
from sertk.models.resnet import Block, InputNorm, ResNet
from sertk.models.spec import STRIDES, NetworkSpec

# ONNX Runtime 1.14 (February 2023) and later run it.
OPSET, IR_VERSION = 18, 8


def export_onnx(model: Model, path: Path, out: Path, at: str = "posterior") -> None:
    """Write a model as an ONNX file, atomically.

    Args:
        model: from a model file.
        path: of that file, for messages.
        out: the ONNX file.
        at: "posterior" or "embedding".

    Raises:
        SertkError: the front end is unknown, normalises over groups of segments, or adds dither.
    """
    with atomic_file(out, "wb") as file:
        file.write(onnx_bytes(model, path, at))


def onnx_bytes(model: Model, path: Path, at: str = "posterior") -> bytes:
    """The content of an ONNX file; see export_onnx."""
    extract = FeatureExtractor.of_model(model.frontend, path)
    if at == "posterior":
        check_outputs(model, path)
    if extract.options.dither:
        raise SertkError(f"{path}: its features have dither {extract.options.dither:g}, which no graph repeats")
    graph = _Graph()
    network = for_evaluation(model.network, torch.device("cpu"))
    feats, valid, frames = _front_end(graph, extract.options, model.frontend["cmvn"])
    outputs = _network(graph, network, feats, frames, at)
    # Where there is no sound or no frame, no number is right.
    result = graph.add("Where", graph.add("Unsqueeze", valid, [1]), outputs, np.float32(np.nan))
    graph.add("Identity", result, name=at)
    return _serialised(graph, model, at)


def _serialised(graph: "_Graph", model: Model, at: str) -> bytes:
    spec = model.network.spec
    dim = (spec.embedding_dim or spec.pooled_dim) if at == "embedding" else len(model.labels)
    inputs = [
        helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "samples"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    outputs = [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["batch", dim])]
    about = "samples: float32 in ±1, zeros after a recording's end; lengths: samples of each recording"
    content = helper.make_model(
        helper.make_graph(graph.nodes, "sertk", inputs, outputs, graph.constants, doc_string=about),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sertk",
        producer_version=__version__,
    )
    onnx.checker.check_model(content)
    metadata = {
        "format": FORMAT,
        "at": at,
        "labels": json.dumps(list(model.labels), ensure_ascii=False),
        "sample_rate": f"{FbankOptions.of(model.frontend['fbank']).sample_frequency:g}",
        "frontend": json.dumps(model.frontend),
        "network": json.dumps(model.network.spec.plain()),
        "model_digest": model.digest,
        **({"temperature": repr(temperature)} if (temperature := temperature_of(model)) else {}),
        **{name: str(model.card[name]) for name in ("licence", "source") if name in model.card},
        DIGEST: UNSIGNED,  # the last one: sealed() looks for it at the end
    }
    helper.set_model_props(content, {PREFIX + name: value for name, value in metadata.items()})
    return sealed(content.SerializeToString(deterministic=True))


Value = str | int | float | list[int] | np.ndarray | np.generic


class _Graph:
    """Nodes and constants; a value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[tuple, str] = {}

    def add(self, operator: str, *inputs: Value, name: str = "", **attributes: int | float | list[int]) -> str:
        """Add a node; inputs are names, or numbers and arrays, which become constants (integers: int64).

        Returns:
            the name of its output.
        """
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        number = len(self.nodes)
        name = name or f"{operator.lower()}_{number}"
        self.nodes.append(helper.make_node(operator, names, [name], name=f"node_{number}", **attributes))
        return name

    def constant(self, value: Value) -> str:
        """The name of a constant; equal ones are stored once."""
        array = np.ascontiguousarray(value)
        array = array.reshape(np.shape(value))  # a scalar stays one
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def size(self, value: str, axis: int) -> str:
        """The size of an axis, (1,) int64."""
        return self.add("Shape", value, start=axis, end=axis + 1)

    def range(self, stop: str) -> str:
        """0, 1, … below `stop`, a scalar or (1,)."""
        return self.add("Range", 0, self.add("Squeeze", stop), 1)

    def floats(self, value: str) -> str:
        """Integers or truth values as float32."""
        return self.add("Cast", value, to=TensorProto.FLOAT)

    def below(self, lengths: str, size: str) -> str:
        """True where a position belongs to its recording. Shape: (batch,), (1,) -> (batch, size), boolean."""
        return self.add("Less", self.range(size), self.add("Unsqueeze", lengths, [1]))


def _front_end(graph: _Graph, options: FbankOptions, cmvn: str) -> tuple[str, str, str]:
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
        feats = _normalised(graph, feats, frames, most, norm_vars=cmvn == "segment")
    return feats, valid, frames


def _has_sound(graph: _Graph, samples: str, lengths: str) -> str:
    """As check_sound and finite: (batch,) boolean."""
    inside = graph.below(lengths, graph.size(samples, 1))
    first = graph.add("Slice", samples, [0], [1], [1])
    known = graph.add("Where", inside, samples, first)
    high, low = (graph.add(f"Reduce{name}", known, [1], keepdims=0) for name in ("Max", "Min"))
    loud = graph.add("GreaterOrEqual", graph.add("Sub", high, low), np.float32(1))
    # NaN or infinite samples times 0 are NaN, and so is their sum.
    total = graph.add("ReduceSum", graph.add("Mul", known, np.float32(0)), [1], keepdims=0)
    return graph.add("And", loud, graph.add("Equal", total, np.float32(0)))


def _frames(graph: _Graph, options: FbankOptions, samples: str, lengths: str, most: str) -> str:
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


def _log_mel(graph: _Graph, options: FbankOptions, frames: str) -> str:
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


def _energy(graph: _Graph, options: FbankOptions, frames: str) -> str:
    power = graph.add("ReduceSum", graph.add("Mul", frames, frames), [2], keepdims=1)
    return graph.add("Log", graph.add("Max", power, np.float32(max(FLOOR, options.energy_floor))))


def _normalised(graph: _Graph, feats: str, frames: str, most: str, norm_vars: bool) -> str:
    """Mean 0 and, with `norm_vars`, variance 1 over each recording's frames; constant bins, and all padding, are 0."""
    inside = graph.below(frames, most)
    column = graph.add("Unsqueeze", inside, [2])
    row = graph.floats(graph.add("Unsqueeze", inside, [1]))
    count = graph.floats(graph.add("Unsqueeze", frames, [1, 2]))

    def mean(values: str) -> str:
        return graph.add("Div", graph.add("MatMul", row, values), count)

    known = graph.add("Where", column, feats, graph.add("Slice", feats, [0], [1], [1]))
    high, low = (graph.add(f"Reduce{name}", known, [1], keepdims=1) for name in ("Max", "Min"))
    varies = graph.floats(graph.add("Greater", high, low))
    normal = graph.add("Mul", graph.add("Sub", known, mean(feats)), graph.floats(column))
    if norm_vars:
        variance = graph.add("Max", mean(graph.add("Mul", normal, normal)), np.float32(VAR_FLOOR))
        varies = graph.add("Div", varies, graph.add("Sqrt", variance))
    return graph.add("Mul", normal, varies)


def _network(graph: _Graph, network: ResNet, feats: str, frames: str, at: str) -> str:
    """(batch, frames, bins) and frames (batch,) -> (batch, dim)."""
    if network.spec.frames:
        feats, lengths = _middle(graph, feats, frames, network.spec.frames), None
    else:
        lengths = frames
    maps = graph.add("Unsqueeze", graph.add("Transpose", feats, perm=[0, 2, 1]), [1])
    most = graph.size(maps, 3)
    mask = _mask(graph, lengths, most)
    trunk = network.trunk
    if isinstance(trunk.norm, InputNorm):
        centred = graph.add("Sub", maps, trunk.norm.mean.numpy()[:, None])
        maps = graph.add("Div", centred, trunk.norm.deviation.numpy()[:, None])
    maps = _masked(graph, maps, mask)
    maps = _masked(graph, _activated(graph, trunk.act, _convolved(graph, trunk.stem, maps)), mask)
    for stride, stage in zip(STRIDES, trunk.stages):
        if lengths is not None and stride > 1:
            lengths, most = (graph.add("Div", graph.add("Add", value, stride - 1), stride) for value in (lengths, most))
            mask = _mask(graph, lengths, most)
        for block in stage:
            maps = _block(graph, block, maps, mask)
    if isinstance(network.pool, AttentivePool):
        pooled = _attentive(graph, network.pool, maps, mask)
    else:
        pooled = _pooled(graph, network.spec, maps, lengths, mask)
    return _head(graph, network, pooled, at)


def _block(graph: _Graph, block: Block, maps: str, mask: str | None) -> str:
    inner = _masked(graph, _activated(graph, block.act1, _convolved(graph, block.conv1, maps)), mask)
    outer = _convolved(graph, block.shortcut, maps) if isinstance(block.shortcut, nn.Conv2d) else maps
    total = graph.add("Add", _convolved(graph, block.conv2, inner), outer)
    return _masked(graph, _activated(graph, block.act2, total), mask)


def _convolved(graph: _Graph, conv: nn.Conv2d, maps: str) -> str:
    padding, stride = conv.padding, conv.stride
    return graph.add("Conv", maps, conv.weight.numpy(), conv.bias.numpy(), kernel_shape=list(conv.kernel_size),
                     pads=[*padding, *padding], strides=list(stride))  # fmt: skip


def _activated(graph: _Graph, activation: nn.Module, values: str, axes: tuple[int, ...] = (1, 1)) -> str:
    """axes: sizes of the axes after the channels, for slopes of channels."""
    match activation:
        case nn.LeakyReLU():
            return graph.add("LeakyRelu", values, alpha=activation.negative_slope)
        case LayerPReLU():
            return graph.add("LeakyRelu", values, alpha=float(activation.weight))
        case ChannelPReLU():
            return graph.add("PRelu", values, activation.weight.numpy().reshape(-1, *axes))
        case nn.ReLU():
            return graph.add("Relu", values)
    raise TypeError(type(activation).__name__)


def _mask(graph: _Graph, lengths: str | None, most: str) -> str | None:
    """Ones where one of `most` frames belongs to its recording: (batch, 1, 1, frames)."""
    if lengths is None:
        return None
    return graph.floats(graph.add("Unsqueeze", graph.below(lengths, most), [1, 2]))


def _masked(graph: _Graph, maps: str, mask: str | None) -> str:
    return maps if mask is None else graph.add("Mul", maps, mask)


def _middle(graph: _Graph, feats: str, frames: str, wanted: int) -> str:
    """As sertk.data.chunks.fit: the middle `wanted` frames, repeated from their start where there are fewer."""
    first = graph.add("Div", graph.add("Max", graph.add("Sub", frames, wanted), 0), 2)
    kept = graph.add("Unsqueeze", graph.add("Min", frames, wanted), [1])
    index = graph.add("Add", graph.add("Mod", np.arange(wanted), kept), graph.add("Unsqueeze", first, [1]))
    shape = graph.add("Concat", graph.add("Shape", index), graph.size(feats, 2), axis=0)
    return graph.add("GatherElements", feats, graph.add("Expand", graph.add("Unsqueeze", index, [2]), shape), axis=1)


def _attentive(graph: _Graph, pool: AttentivePool, maps: str, mask: str) -> str:
    hidden, score = pool.hidden, pool.score.weight.detach().numpy()
    frames = graph.add("Reshape", maps, [0, hidden.in_features, -1])
    inner = graph.add("Add", graph.add("MatMul", hidden.weight.numpy(), frames), hidden.bias.numpy()[:, None])
    scores = graph.add("Unsqueeze", graph.add("MatMul", score, graph.add("Tanh", inner)), [1])
    beyond = graph.add("Mul", graph.add("Sub", mask, np.float32(1)), np.float32(1e9))
    weights = graph.add("Softmax", graph.add("Add", scores, beyond), axis=3)
    mean = graph.add("ReduceSum", graph.add("Mul", weights, maps), [3], keepdims=1)
    apart = graph.add("Sub", maps, mean)
    squares = graph.add("Mul", weights, graph.add("Mul", apart, apart))
    variance = graph.add("ReduceSum", squares, [3], keepdims=1)
    deviation = graph.add("Sqrt", graph.add("Add", variance, np.float32(pool.epsilon)))
    return graph.add("Concat", graph.add("Flatten", mean), graph.add("Flatten", deviation), axis=1)


def _pooled(graph: _Graph, spec: NetworkSpec, maps: str, lengths: str | None, mask: str | None) -> str:
    if spec.pooling == "none":
        return graph.add("Flatten", maps)
    count = graph.floats(graph.add("Unsqueeze", lengths, [1, 2, 3]))
    mean = graph.add("Div", graph.add("ReduceSum", maps, [3], keepdims=1), count)
    if spec.pooling == "mean":
        return graph.add("Flatten", mean)
    apart = _masked(graph, graph.add("Sub", maps, mean), mask)
    variance = graph.add("Div", graph.add("ReduceSum", graph.add("Mul", apart, apart), [3], keepdims=1), count)
    if spec.deviation == "unbiased":
        fewer = graph.add("Max", graph.add("Sub", count, np.float32(1)), np.float32(1))
        variance = graph.add("Mul", variance, graph.add("Div", count, fewer))
    if spec.pooling_epsilon:
        variance = graph.add("Add", variance, np.float32(spec.pooling_epsilon))
    else:
        variance = graph.add("Max", variance, np.float32(TINY))
    deviation = graph.add("Sqrt", variance)
    return graph.add("Concat", graph.add("Flatten", mean), graph.add("Flatten", deviation), axis=1)


def _head(graph: _Graph, network: ResNet, pooled: str, at: str) -> str:
    head = network.head
    if len(head.hidden):
        linear, activation = head.hidden
        pooled = graph.add("Gemm", pooled, linear.weight.numpy(), linear.bias.numpy(), transB=1)
        pooled = _activated(graph, activation, pooled, axes=())
    embedding = pooled
    if network.spec.embedding_dim:
        weight, bias = head.embedding.weight.double(), head.embedding.bias.double()
        if network.spec.embedding_norm:
            scale = head.bn.weight.double() / (head.bn.running_var.double() + head.bn.eps).sqrt()
            weight, bias = (
                weight * scale[:, None],
                head.bn.bias.double() + scale * (bias - head.bn.running_mean.double()),
            )
        embedding = graph.add("Gemm", pooled, weight.float().numpy(), bias.float().numpy(), transB=1)
    if at == OUTPUTS[1]:
        return embedding
    if network.spec.output == "cosine":
        return graph.add("Softmax", _cosines(graph, head.output, embedding), axis=1)
    active = _activated(graph, head.act, embedding, axes=()) if network.spec.embedding_dim else embedding
    logits = graph.add("Gemm", active, head.output.weight.numpy(), head.output.bias.numpy(), transB=1)
    return graph.add("Softmax", logits, axis=1)


def _cosines(graph: _Graph, output: CosineOutput, embedding: str) -> str:
    norm = graph.add("Max", graph.add("ReduceL2", embedding, [1], keepdims=1), np.float32(1e-12))
    centres = output.scale * functional.normalize(output.weight.detach().double())
    logits = graph.add("MatMul", graph.add("Div", embedding, norm), centres.float().T.contiguous().numpy())
    if output.subcentres == 1:
        return logits
    return graph.add("ReduceMax", graph.add("Reshape", logits, [0, -1, output.subcentres]), [2], keepdims=0)
