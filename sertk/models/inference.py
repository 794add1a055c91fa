"""Inference: a trained network on whole segments of any length."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from sertk.data.chunks import fit
from sertk.errors import SertkError, out_of_memory
from sertk.models.fuse import for_evaluation
from sertk.models.pieces import longest, pooled_in_pieces, stages_in_pieces
from sertk.models.pooling import Flatten, pooling_of
from sertk.models.resnet import ResNet
from sertk.models.spec import places, stage_pooling
from sertk.runtime import release_memory

Window = list[tuple[str, np.ndarray]]
Outputs = Iterator[tuple[str, np.ndarray]]
Skip = Callable[[str, str], None]
# Segments that are sorted by length to be together with their like, the frames that they may have (1 GB of 128 bins), and
# frames that are computed together, padding included: on a GPU some 1 GB with the paper's network, whether 500 words or one
# speech. On a CPU each segment is alone.
WINDOW = {"cpu": 1, "cuda": 512}
MOST_FRAMES = 1 << 21
TOGETHER = {"cpu": 0, "cuda": 32_000}
# Frames of a piece: where there is no memory for fewer, there is none.
SHORTEST = 256


def on_segments(network: ResNet, segments: Iterable[tuple[str, np.ndarray]], at: str, device: torch.device,
                precision: str = "float32", skip: Skip | None = None) -> Outputs:  # fmt: skip
    """The outputs of a network for segments, in their order.

    On a CPU one segment at a time is fastest; on a GPU segments of similar length are batched, and padding does not change the
    outputs (see Trunk). A segment of any length takes the memory of a piece (see sertk.models.pieces).

    Args:
        network: left unchanged; a fused copy computes.
        segments: (key, (frames, bins) float32).
        at: "posterior" (probabilities), "logit", "embedding" (the fully connected layer after its BatchNorm), "pool", or the
            pooled maps of stages: "stage1" to "stage4", several with commas.
        device: where to compute.
        precision: "float32" or "bf16".
        skip: called with key and reason for a segment that does not fit into memory; without it that is an error.

    Yields:
        (key, (dim,) float32)

    Raises:
        SertkError: a segment, which is named, does not fit into memory.
    """
    yield from segment_outputs(for_evaluation(network, device, precision), segments, at, device, skip)


def segment_outputs(network: ResNet, segments: Iterable[tuple[str, np.ndarray]], at: str, device: torch.device,
                    skip: Skip | None = None) -> Outputs:  # fmt: skip
    """As on_segments, for a network that fuse.for_evaluation returned."""
    window, frames = [], 0
    for key, feats in segments:
        window.append((key, fit(feats, network.spec.frames) if network.spec.frames else feats))
        frames += len(feats)
        if len(window) == WINDOW[device.type] or frames >= MOST_FRAMES:
            yield from _window(network, window, at, device, skip)
            window, frames = [], 0
    yield from _window(network, window, at, device, skip)


@torch.no_grad()
def output(network: ResNet, feats: Tensor, lengths: Tensor | None, at: str) -> Tensor:
    """One of a network's outputs (see on_segments), or its last "map", flattened as a network without pooling does it.

    Args:
        network: from for_evaluation.
        feats: (batch, bins, frames).
        lengths: (batch,) in frames, None if nothing is padded.
        at: which output.

    Shape: (batch, bins, frames), (batch,) -> (batch, dim), float32
    """
    if at == "map":
        return Flatten()(*network.trunk(network.prepared(feats, lengths)[0], lengths))
    if numbers := places(at):
        return _pooled_stages(network, feats, lengths, numbers)
    return _after_pooling(network, network.pooled(feats, lengths), at)


def _pooled_stages(network: ResNet, feats: Tensor, lengths: Tensor | None, numbers: list[int]) -> Tensor:
    """The pooled maps of stages, side by side. Shape: (batch, bins, frames) -> (batch, dim), float32."""
    pool, of_stage = pooling_of(stage_pooling(network.spec)), {}

    def after_stage(number: int, maps: Tensor, lengths: Tensor | None) -> None:
        if number in numbers:
            of_stage[number] = pool(maps, lengths)

    network.trunk(network.prepared(feats, lengths)[0], lengths, after_stage)
    return torch.cat([of_stage[number] for number in numbers], dim=1)


def _after_pooling(network: ResNet, pooled: Tensor, at: str) -> Tensor:
    match at:
        case "pool":
            return pooled
        case "embedding":
            # BatchNorm, since without it a few dimensions of large variance decide every cosine.
            return network.head.embed(pooled)
        case "logit":
            return network.head(pooled)
        case "posterior":
            return network.head(pooled).softmax(dim=1)
    raise ValueError(at)


def _window(network: ResNet, window: Window, at: str, device: torch.device, skip: Skip | None) -> Outputs:
    order = sorted(range(len(window)), key=lambda index: len(window[index][1]))
    results: dict[int, np.ndarray] = {}
    # What is passed in pieces goes alone: in a wide network that includes lengths that could otherwise share a batch.
    most = min(TOGETHER[device.type], longest(network.spec, device))
    for picked in together(order, [len(feats) for _, feats in window], most):
        results.update(_batch(network, window, picked, at, device, skip))
    for index, (key, _) in enumerate(window):
        if index in results:
            yield key, results[index]


def _batch(network: ResNet, window: Window, picked: list[int], at: str, device: torch.device,
           skip: Skip | None) -> dict[int, np.ndarray]:  # fmt: skip
    """The outputs of the segments `picked`; in smaller batches if memory runs out."""
    frames = len(window[picked[-1]][1])
    most = longest(network.spec, device)
    whole = network.spec.frames or frames <= most
    while True:
        try:
            if whole:
                return _together(network, window, picked, at, device)
            return {picked[0]: _alone(network, window[picked[0]][1], at, device, most)}
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        # Outside the except block: a live exception keeps the tensors allocated.
        release_memory(device)
        if len(picked) > 1:
            half = len(picked) // 2
            parts = (picked[:half], picked[half:])
            return {i: out for part in parts for i, out in _batch(network, window, part, at, device, skip).items()}
        most = (frames if whole else most) // 2
        whole = False
        if network.spec.frames or most < SHORTEST:
            key = window[picked[0]][0]
            remedy = "nvidia-smi shows who holds it, --device cpu needs none" if device.type == "cuda" else "free some"
            reason = f"{device.type} out of memory, with {most} of {frames} frames at a time: {remedy}"
            if skip is None:
                raise SertkError(f"{key}: {reason}")
            skip(key, reason)
            return {}


def _together(network: ResNet, window: Window, picked: list[int], at: str,
              device: torch.device) -> dict[int, np.ndarray]:  # fmt: skip
    feats, lengths = padded([window[index][1] for index in picked])
    same = int(lengths.min()) == feats.shape[2]
    out = output(network, feats.to(device), None if same else lengths.to(device), at)
    return dict(zip(picked, out.cpu().numpy()))


@torch.no_grad()
def _alone(network: ResNet, feats: np.ndarray, at: str, device: torch.device, most: int) -> np.ndarray:
    # An hour of samples was freed before: the C library keeps their memory, in pieces that the maps do not fit into.
    release_memory(torch.device("cpu"))
    bins_first = torch.from_numpy(np.asarray(feats, np.float32)).T
    if numbers := places(at):
        return stages_in_pieces(network, bins_first, most, device, numbers)[0].cpu().numpy()
    pooled = pooled_in_pieces(network, bins_first, most, device)
    return _after_pooling(network, pooled, at)[0].cpu().numpy()


def together(order: list[int], lengths: list[int], most: int) -> list[list[int]]:
    """Batches of at most `most` frames with padding; a longer segment is a batch of its own.

    Args:
        order: the segments, the shortest first.
        lengths: frames of each.
        most: frames of a batch.

    Example:
        >>> together([2, 0, 1, 3], [3, 4, 2, 90], 9)
        [[2, 0], [1], [3]]
    """
    batches: list[list[int]] = []
    for index in order:
        if batches and lengths[index] * (len(batches[-1]) + 1) <= most:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def padded(segments: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Zero-pad segments (frames, bins) to one batch (batch, bins, longest); also returns their lengths (batch,)."""
    lengths = torch.tensor([len(feats) for feats in segments])
    batch = torch.zeros(len(segments), segments[0].shape[1], int(lengths.max()))
    for row, feats in zip(batch, segments):
        row[:, : len(feats)] = torch.from_numpy(np.asarray(feats, np.float32).T)
    return batch, lengths
