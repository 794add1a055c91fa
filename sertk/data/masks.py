"""SpecAugment's frequency and time masks (Park et al. 2019; Padi et al. 2021, section 3.4 and Table 1)."""

from dataclasses import dataclass

import numpy as np

from sertk.data.keyed_random import Draws
from sertk.errors import SertkError


@dataclass(frozen=True)
class Policy:
    """Number and size of masks.

    Args:
        max_bins: F, the widest frequency mask in bins.
        max_frames: W, the widest time mask in frames.
        max_part: p, the widest time mask as a part of the frames; W = min(W, p T).
        num_freq: frequency masks a spectrogram.
        num_time: time masks a spectrogram.
    """

    max_bins: int = 0
    max_frames: int = 0
    max_part: float = 0.2
    num_freq: int = 0
    num_time: int = 0


POLICIES = {
    "none": Policy(),
    "conservative": Policy(max_bins=15, max_frames=50, num_freq=2, num_time=2),
    "aggressive": Policy(max_bins=27, max_frames=70, num_freq=2, num_time=2),
}


def parse_policy(text: str) -> Policy:
    """The policy called `text`, or own values as F:W:p:Nf:Nt.

    Raises:
        SertkError: it is neither.

    Example:
        >>> parse_policy("15:50:0.2:2:2") == POLICIES["conservative"]
        True
    """
    if text in POLICIES:
        return POLICIES[text]
    try:
        bins, frames, part, num_freq, num_time = text.split(":")
        policy = Policy(int(bins), int(frames), float(part), int(num_freq), int(num_time))
    except ValueError:
        raise SertkError(f"no such masks: '{text}' (expected none, conservative, aggressive or F:W:p:Nf:Nt)") from None
    if min(policy.max_bins, policy.max_frames, policy.num_freq, policy.num_time) < 0 or not 0 <= policy.max_part <= 1:
        raise SertkError(f"masks out of range: '{text}' (F, W, Nf, Nt >= 0, p from 0 to 1)")
    return policy


def draw_masks(policy: Policy, draws: Draws, frames: int, bins: int) -> list[tuple[slice, slice]]:
    """Draw the masks of one spectrogram, as (frames, bins) slices, frequency masks first.

    f ~ U[0, F], f0 ~ U[0, bins - f]; t ~ U[0, min(W, p T)], t0 ~ U[0, T - t]; all bounds included. An F wider
    than the spectrogram is clipped.
    """
    masks = []
    for _ in range(policy.num_freq):
        width = draws.integer(0, min(policy.max_bins, bins))
        first = draws.integer(0, bins - width)
        masks.append((slice(0, frames), slice(first, first + width)))
    widest = min(policy.max_frames, int(policy.max_part * frames + 1e-9))  # 0.29 * 100 is 28.99…
    for _ in range(policy.num_time):
        width = draws.integer(0, widest)
        first = draws.integer(0, frames - width)
        masks.append((slice(first, first + width), slice(0, bins)))
    return masks


def apply_masks(feats: np.ndarray, masks: list[tuple[slice, slice]], mean: np.ndarray | None = None) -> None:
    """Set masked cells to the mean of the features, in place.

    Args:
        feats: (frames, bins).
        masks: slices of frames and bins.
        mean: (bins,) of the features; None: 0, the mean of normalised ones.
    """
    for frames, bins in masks:
        feats[frames, bins] = 0 if mean is None else mean[bins]
