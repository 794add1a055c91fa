"""A fused network as ONNX nodes: features in, posteriors or embedding out."""

import numpy as np
from torch import nn
from torch.nn import functional

from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.cosine import CosineOutput
from sertk.models.onnxfile import OUTPUTS
from sertk.models.onnxfrontend import normalised
from sertk.models.onnxgraph import Graph
from sertk.models.pooling import TINY, AttentivePool
from sertk.models.resnet import Block, InputNorm, ResNet
from sertk.models.spec import STRIDES, NetworkSpec


def network_nodes(graph: Graph, network: ResNet, feats: str, frames: str, at: str) -> str:
    """(batch, frames, bins) and frames (batch,) -> (batch, dim)."""
    if network.spec.frames:
        feats, lengths = _middle(graph, feats, frames, network.spec.frames), None
    else:
        lengths = frames
    if network.spec.level_input:
        feats, (level, variance) = normalised(graph, feats, frames, graph.size(feats, 1), norm_vars=True)
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
    if network.spec.level_input:
        removed = graph.add("Flatten", graph.add("Concat", level, graph.add("Sqrt", variance), axis=2))
        centred = graph.add("Sub", removed, network.head.mean.numpy())
        pooled = graph.add("Concat", pooled, graph.add("Mul", centred, network.head.scale.numpy()), axis=1)
    return _head(graph, network, pooled, at)


def _block(graph: Graph, block: Block, maps: str, mask: str | None) -> str:
    inner = _masked(graph, _activated(graph, block.act1, _convolved(graph, block.conv1, maps)), mask)
    outer = _convolved(graph, block.shortcut[0], maps) if block.shortcut else maps
    total = graph.add("Add", _convolved(graph, block.conv2, inner), outer)
    return _masked(graph, _activated(graph, block.act2, total), mask)


def _convolved(graph: Graph, conv: nn.Conv2d, maps: str) -> str:
    padding, stride = conv.padding, conv.stride
    return graph.add("Conv", maps, conv.weight.numpy(), conv.bias.numpy(), kernel_shape=list(conv.kernel_size),
                     pads=[*padding, *padding], strides=list(stride))  # fmt: skip


def _activated(graph: Graph, activation: nn.Module, values: str, axes: tuple[int, ...] = (1, 1)) -> str:
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


def _mask(graph: Graph, lengths: str | None, most: str) -> str | None:
    """Ones where one of `most` frames belongs to its recording: (batch, 1, 1, frames)."""
    if lengths is None:
        return None
    return graph.floats(graph.add("Unsqueeze", graph.below(lengths, most), [1, 2]))


def _masked(graph: Graph, maps: str, mask: str | None) -> str:
    return maps if mask is None else graph.add("Mul", maps, mask)


def _middle(graph: Graph, feats: str, frames: str, wanted: int) -> str:
    """As sertk.data.chunks.fit: the middle `wanted` frames, repeated from their start where there are fewer."""
    first = graph.add("Div", graph.add("Max", graph.add("Sub", frames, wanted), 0), 2)
    kept = graph.add("Unsqueeze", graph.add("Min", frames, wanted), [1])
    index = graph.add("Add", graph.add("Mod", np.arange(wanted), kept), graph.add("Unsqueeze", first, [1]))
    shape = graph.add("Concat", graph.add("Shape", index), graph.size(feats, 2), axis=0)
    return graph.add("GatherElements", feats, graph.add("Expand", graph.add("Unsqueeze", index, [2]), shape), axis=1)


def _attentive(graph: Graph, pool: AttentivePool, maps: str, mask: str) -> str:
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


def _pooled(graph: Graph, spec: NetworkSpec, maps: str, lengths: str | None, mask: str | None) -> str:
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


def _head(graph: Graph, network: ResNet, pooled: str, at: str) -> str:
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


def _cosines(graph: Graph, output: CosineOutput, embedding: str) -> str:
    norm = graph.add("Max", graph.add("ReduceL2", embedding, [1], keepdims=1), np.float32(1e-12))
    centres = output.scale * functional.normalize(output.weight.detach().double())
    logits = graph.add("MatMul", graph.add("Div", embedding, norm), centres.float().T.contiguous().numpy())
    if output.subcentres == 1:
        return logits
    return graph.add("ReduceMax", graph.add("Reshape", logits, [0, -1, output.subcentres]), [2], keepdims=0)
