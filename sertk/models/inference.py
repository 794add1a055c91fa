"""A trained network on whole segments of any length."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from sertk.data.chunks import fit
from sertk.models.fuse import for_evaluation
from sertk.models.pooling import Flatten
from sertk.models.resnet import ResNet

# Segments that are sorted by length to be together with their like, and frames that are computed together, padding included:
# on a GPU some 1 GB with the paper's network, whether 500 words or one speech. On a CPU each segment is alone.
WINDOW = {"cpu": 1, "cuda": 512}
TOGETHER = {"cpu": 0, "cuda": 32_000}


def on_segments(network: ResNet, segments: Iterable[tuple[str, np.ndarray]], at: str, device: torch.device,
                precision: str = "float32") -> Iterator[tuple[str, np.ndarray]]:  # fmt: skip
    """What a network gives for each segment, in the order of the segments.

    On a CPU one segment at a time is the fastest; a GPU is given batches of similar lengths, in which padding
    changes nothing (see Trunk).

    Args:
        network: stays as it is; what computes is its copy for evaluation.
        segments: (key, (frames, bins) float32).
        at: "posterior" (probabilities), "logit", "embedding" (the fully connected layer after its BatchNorm) or "pool".
        device: where to compute.
        precision: "float32" or "bf16".

    Yields:
        (key, (dim,) float32)
    """
    network = for_evaluation(network, device, precision)
    window = []
    for key, feats in segments:
        window.append((key, fit(feats, network.spec.frames) if network.spec.frames else feats))
        if len(window) == WINDOW[device.type]:
            yield from _window(network, window, at, device)
            window = []
    yield from _window(network, window, at, device)


@torch.no_grad()
def output(network: ResNet, feats: Tensor, lengths: Tensor | None, at: str) -> Tensor:
    """One of a network's outputs (see on_segments), or its last "map", flattened as a network without pooling does it.

    Args:
        network: from for_evaluation.

    Shape: (batch, bins, frames), (batch,) -> (batch, dim), float32
    """
    feats = feats.to(network.trunk.stem.weight.dtype)
    if at == "map":
        return Flatten()(*network.trunk(feats, lengths))
    pooled = network.pooled(feats, lengths)
    match at:
        case "pool":
            return pooled
        case "embedding":
            # BatchNorm, since without it a few dimensions of large variance decide every cosine.
            return network.head.bn(network.head.embedding(pooled))
        case "logit":
            return network.head(pooled)
        case "posterior":
            return network.head(pooled).softmax(dim=1)
    raise ValueError(at)


def _window(network, window, at, device):
    order = sorted(range(len(window)), key=lambda index: len(window[index][1]))
    results: dict[int, np.ndarray] = {}
    for picked in together(order, [len(feats) for _, feats in window], TOGETHER[device.type]):
        feats, lengths = padded([window[index][1] for index in picked])
        same = int(lengths.min()) == feats.shape[2]
        out = output(network, feats.to(device), None if same else lengths.to(device), at)
        results.update(zip(picked, out.cpu().numpy()))
    for index, (key, _) in enumerate(window):
        yield key, results[index]


def together(order: list[int], lengths: list[int], most: int) -> list[list[int]]:
    """Segments in batches of at most `most` frames, padding included; one that is longer is alone.

    Args:
        order: the segments, the shortest first.
        lengths: frames of each.

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
    """Segments (frames, bins) as one batch: (batch, bins, longest) with zeros behind each, and lengths (batch,)."""
    lengths = torch.tensor([len(feats) for feats in segments])
    batch = torch.zeros(len(segments), segments[0].shape[1], int(lengths.max()))
    for row, feats in zip(batch, segments):
        row[:, : len(feats)] = torch.from_numpy(np.asarray(feats, np.float32).T)
    return batch, lengths
