"""Long segments in pieces: the pooled statistics of the whole segment in the memory of a piece.

Pieces overlap by the trunk's receptive field (225 frames in the paper's network), and frames affected by a cut are
dropped, so that every map that is pooled equals the whole segment's. Zero padding is at the segment's true ends only.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sertk.models.pooling import Moments, pooling_of
from sertk.models.resnet import NetworkSpec, ResNet, Trunk
from sertk.models.spec import STRIDES, stage_pooling

# Numbers of the widest map of a piece: 64 MB in float32, 4096 frames (41 s) of the paper's network; some eight are held at a
# time. On a GPU as many as in a batch of short segments (see inference.TOGETHER).
WIDEST = {"cpu": 1 << 24, "cuda": 32_000 * 32 * 128}


class Field(NamedTuple):
    """Receptive field: input frames before and after an output frame's own, and the stride in input frames."""

    before: int
    after: int
    stride: int


class Piece(NamedTuple):
    """Input frames start to stop; the output frames first to last (counted in the piece) are kept."""

    start: int
    stop: int
    first: int
    last: int


def field(trunk: Trunk) -> Field:
    """The receptive field of a trunk, from its convolutions. The 1×1 shortcuts see less than what they go around."""
    before = after = 0
    stride = 1
    blocks = [block for stage in trunk.stages for block in stage]
    for conv in [trunk.stem, *(conv for block in blocks for conv in (block.conv1, block.conv2))]:
        before += stride * conv.padding[1]
        after += stride * (conv.kernel_size[1] - 1 - conv.padding[1])
        stride *= conv.stride[1]
    return Field(before, after, stride)


def longest(spec: NetworkSpec, device: torch.device) -> int:
    """Most frames of a segment that is passed as a whole."""
    return WIDEST[device.type] // (spec.channels * spec.bins)


def pieces(frames: int, most: int, field: Field) -> Iterator[Piece]:
    """Pieces of a segment, of about the same length.

    Args:
        frames: of the segment.
        most: frames of a piece, more or less; where the field leaves little of them, as many again are computed.
        field: of the trunk.

    Example:
        >>> list(pieces(20, 14, Field(2, 2, 2)))
        [Piece(start=0, stop=11, first=0, last=5), Piece(start=8, stop=20, first=1, last=6)]
    """
    total = -(-frames // field.stride)
    around = field.before + field.after
    each = max(1, max(most - around, around) // field.stride)
    count = -(-total // each)
    margin = -(-field.before // field.stride)
    for number in range(count):
        first, last = number * total // count, (number + 1) * total // count
        begin = max(0, first - margin)  # whole strides, so that the strided convolutions see the same frames
        stop = min(frames, (last - 1) * field.stride + field.after + 1)
        yield Piece(begin * field.stride, stop, first - begin, last - begin)


def pooled_in_pieces(network: ResNet, feats: Tensor, most: int, device: torch.device) -> Tensor:
    """network.pooled for a long segment, equal up to float32 rounding.

    Args:
        network: from for_evaluation; with pooling.
        feats: of the segment, on the CPU.
        most: frames of a piece.
        device: where to compute.

    Shape: (bins, frames) -> (1, pooled_dim), float32
    """
    moments, (whole, removed) = network.pool.moments(), network.prepared(feats[None])
    _collect(network, whole[0], most, device, {len(STRIDES): moments})
    return network.with_removed(network.pool.of(moments), None if removed is None else removed.to(device))


def stages_in_pieces(network: ResNet, feats: Tensor, most: int, device: torch.device, numbers: list[int]) -> Tensor:
    """The pooled maps of stages for a long segment, as pooled_in_pieces.

    Args:
        network: from for_evaluation.
        feats: of the segment, on the CPU.
        most: frames of a piece.
        device: where to compute.
        numbers: of the stages, from 1.

    Shape: (bins, frames) -> (1, dim), float32
    """
    pool = pooling_of(stage_pooling(network.spec))
    moments = {number: pool.moments() for number in numbers}
    _collect(network, network.prepared(feats[None])[0][0], most, device, moments)
    return torch.cat([pool.of(moments[number]) for number in numbers], dim=1)


def _collect(network: ResNet, feats: Tensor, most: int, device: torch.device, moments: dict[int, Moments]) -> None:
    """Add the maps of a long segment to the moments of stages, by their numbers."""
    for piece in pieces(feats.shape[1], most, field(network.trunk)):

        def add(number: int, maps: Tensor, _: Tensor | None, piece: Piece = piece) -> None:
            if number in moments:  # frames of an earlier stage are shorter, and depend on fewer around them
                finer = math.prod(STRIDES[number:])
                moments[number].add(maps[..., piece.first * finer : piece.last * finer])

        part = feats[None, :, piece.start : piece.stop].to(device)
        network.trunk(part.contiguous(), None, add)
