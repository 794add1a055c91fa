"""Chunks: pieces of T frames, cut from segments and masked, that networks are trained on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sertk.data.keyed_random import Draws
from sertk.data.masks import Policy, apply_masks, draw_masks

PADDINGS = ("repeat", "zero", "edge")
MASK_SCOPES = ("chunk", "segment")


@dataclass(frozen=True)
class ChunkRule:
    """How a segment becomes a chunk of T frames.

    Args:
        seed: random seed.
        policies: mask policy of each version; an epoch holds every version of every segment.
        padding: how a segment shorter than T is padded: "repeat" (itself again), "zero" or "edge" (its last frame).
        mask_scope: draw masks over the "chunk", or over the whole "segment" before it is cut.
        mean: (bins,) of the features, with which masks and padding "zero" are filled; None: 0.
    """

    seed: int
    policies: tuple[Policy, ...]
    padding: str = "repeat"
    mask_scope: str = "chunk"
    mean: np.ndarray | None = None

    def draws(self, key: str, epoch: int, version: int, copy: int = 0) -> Draws:
        """The random stream of the chunk of segment `key` in this epoch, version and copy."""
        return Draws(self.seed, "chunk", key, epoch, version, copy)

    def place(
        self, num_frames: int, bins: int, draws: Draws, version: int, frames: int
    ) -> tuple[int, int, list[tuple[slice, slice]]]:
        """Where a chunk lies in a segment, and where its masks lie in the chunk.

        Args:
            num_frames: frames of the segment.
            bins: bins of the segment.
            draws: from `draws()`; read in the order offset, masks.
            version: index of the policy.
            frames: T.

        Returns:
            the chunk's first row in the segment, the number of rows from there on (fewer than T in a short segment), and its
            masks: over the chunk, or (with mask_scope "segment") over those rows.
        """
        first = draws.integer(0, max(0, num_frames - frames))
        valid = min(frames, num_frames - first)
        if self.mask_scope == "chunk":
            return first, valid, draw_masks(self.policies[version], draws, frames, bins)
        masks = draw_masks(self.policies[version], draws, num_frames, bins)
        return first, valid, [(_shifted(in_frames, first, valid), in_bins) for in_frames, in_bins in masks]

    def cut(self, segment: Any, draws: Draws, version: int, frames: int, out: np.ndarray) -> None:
        """Fill `out` with a chunk of `segment`.

        Args:
            segment: has `num_frames`, `bins` and rows(start, stop, out), as sertk.data.store.Segment.
            draws: from `draws()`.
            version: index of the policy.
            frames: T.
            out: (frames, bins) float32.
        """
        first, valid, masks = self.place(segment.num_frames, out.shape[1], draws, version, frames)
        segment.rows(first, first + valid, out[:valid])
        if self.mask_scope == "segment":
            apply_masks(out[:valid], masks, self.mean)
        fill(out, valid, self.padding, self.mean)
        if self.mask_scope == "chunk":
            apply_masks(out, masks, self.mean)


def fill(chunk: np.ndarray, valid: int, padding: str, mean: np.ndarray | None = None) -> None:
    """Pad a chunk (frames, bins) in place: rows from `valid` on are made from those before, or are `mean` (None: 0)."""
    if padding == "repeat":
        while valid < len(chunk):
            more = min(valid, len(chunk) - valid)
            chunk[valid : valid + more] = chunk[:more]
            valid += more
    elif padding == "zero":
        chunk[valid:] = 0 if mean is None else mean
    else:
        chunk[valid:] = chunk[valid - 1]


def fit(feats: np.ndarray, frames: int, padding: str = "repeat") -> np.ndarray:
    """The middle `frames` rows of `feats`, padded if there are fewer: for networks without pooling. Shape: (frames, bins)."""
    first = max(0, (len(feats) - frames) // 2)
    chunk = np.empty((frames, feats.shape[1]), np.float32)
    kept = feats[first : first + frames]
    chunk[: len(kept)] = kept
    fill(chunk, len(kept), padding)
    return chunk


def _shifted(span: slice, first: int, frames: int) -> slice:
    """The part of a segment's `span` inside a chunk of `frames` from `first` on, in frames of the chunk."""
    return slice(min(max(span.start - first, 0), frames), min(max(span.stop - first, 0), frames))
