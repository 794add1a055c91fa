"""Chunks: pieces of T frames, cut from segments and masked, as the network is given them in training."""

from dataclasses import dataclass

import numpy as np

from sertk.data.keyed_random import Draws
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

    def place(
        self, num_frames: int, bins: int, draws: Draws, version: int, frames: int
    ) -> tuple[int, int, list[tuple[slice, slice]]]:
        """Where a chunk lies in a segment, and where its masks lie in the chunk.

        Args:
            num_frames, bins: shape of the segment.
            draws: from `draws()`; used up in the order offset, masks.
            version: which of the policies.
            frames: T.

        Returns:
            the chunk's first row in the segment, how many rows it finds there, and its masks: over the chunk, or (with
            mask_scope "segment") over those rows.
        """
        first = draws.integer(0, max(0, num_frames - frames))
        valid = min(frames, num_frames - first)
        if self.mask_scope == "chunk":
            return first, valid, draw_masks(self.policies[version], draws, frames, bins)
        masks = draw_masks(self.policies[version], draws, num_frames, bins)
        return first, valid, [(_shifted(in_frames, first, valid), in_bins) for in_frames, in_bins in masks]

    def cut(self, segment, draws: Draws, version: int, frames: int, out: np.ndarray) -> None:
        """Fill `out` with a chunk of `segment`.

        Args:
            segment: something with `num_frames`, `bins` and rows(start, stop, out) (see sertk.data.store).
            draws, version, frames: as in `place()`.
            out: (frames, bins) float32.
        """
        first, valid, masks = self.place(segment.num_frames, out.shape[1], draws, version, frames)
        segment.rows(first, first + valid, out[:valid])
        if self.mask_scope == "segment":
            apply_masks(out[:valid], masks)
        fill(out, valid, self.padding)
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
