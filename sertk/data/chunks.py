"""Chunks: pieces of T frames, cut from segments and masked, as the network is given them in training."""

from dataclasses import dataclass

import numpy as np

from sertk.data.draws import Draws
from sertk.data.masks import Policy, apply_masks, draw_masks

PADDINGS = ("repeat", "zero", "edge")
MASK_SCOPES = ("chunk", "segment")


@dataclass(frozen=True)
class ChunkRule:
    """How a segment becomes a chunk of T frames.

    Args:
        seed: what all draws are a function of.
        policies: one a version of the segment; an epoch holds every version of every segment.
        padding: what a segment shorter than T is filled up with: itself ("repeat"), "zero" or its last frame ("edge").
        mask_scope: masks over the "chunk" (p T is a part of the chunk) or over the whole "segment" before it is cut.
    """

    seed: int
    policies: tuple[Policy, ...]
    padding: str = "repeat"
    mask_scope: str = "chunk"

    def draws(self, key: str, epoch: int, version: int, copy: int = 0) -> Draws:
        """The stream that decides on the chunk of segment `key` in this epoch, version and copy."""
        return Draws(self.seed, "chunk", key, epoch, version, copy)

    def cut(self, segment, draws: Draws, version: int, frames: int, out: np.ndarray) -> None:
        """Fill `out` with a chunk of `segment`.

        Args:
            segment: something with `num_frames`, `bins` and rows(start, stop) -> (frames, bins) float32.
            draws: from `draws()`; used up in the order offset, masks.
            version: which of the policies.
            frames: T.
            out: (frames, bins) float32.
        """
        first = draws.integer(0, max(0, segment.num_frames - frames))
        rows = segment.rows(first, min(first + frames, segment.num_frames))
        masks_of = (segment.num_frames, first) if self.mask_scope == "segment" else (frames, 0)
        out[: len(rows)] = rows
        masks = draw_masks(self.policies[version], draws, masks_of[0], out.shape[1])
        if self.mask_scope == "segment":
            masks = [(_shifted(span, masks_of[1], len(rows)), bins) for span, bins in masks]
            apply_masks(out[: len(rows)], masks)
        fill(out, len(rows), self.padding)
        if self.mask_scope == "chunk":
            apply_masks(out, masks)


def fill(chunk: np.ndarray, valid: int, padding: str) -> None:
    """Fill the rows of `chunk` (frames, bins) from `valid` on, in place, out of those before."""
    if padding == "repeat":
        while valid < len(chunk):
            more = min(valid, len(chunk) - valid)
            chunk[valid : valid + more] = chunk[:more]
            valid += more
    else:
        chunk[valid:] = 0 if padding == "zero" else chunk[valid - 1]


def fit(feats: np.ndarray, frames: int, padding: str = "repeat") -> np.ndarray:
    """`feats` cut from its middle, or filled up, to `frames`: for networks without pooling. Shape: (frames, bins)."""
    first = max(0, (len(feats) - frames) // 2)
    chunk = np.empty((frames, feats.shape[1]), np.float32)
    kept = feats[first : first + frames]
    chunk[: len(kept)] = kept
    fill(chunk, len(kept), padding)
    return chunk


def _shifted(span: slice, first: int, frames: int) -> slice:
    """The part of a segment's `span` that a chunk of `frames` from `first` on sees, in the chunk's own frames."""
    return slice(min(max(span.start - first, 0), frames), min(max(span.stop - first, 0), frames))
