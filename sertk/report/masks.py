"""A spectrogram with the masks of each policy (Fig. 2)."""

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from sertk.data.keyed_random import Draws
from sertk.data.masks import POLICIES, draw_masks
from sertk.report.data import Data
from sertk.report.document import Figure, Table
from sertk.report.drawing import figure

FRAMES = 300  # the longest training chunk


def masks_figure(data: Data, keys: Iterable[str], stamps: tuple[str, ...], seed: int = 0) -> Figure | None:
    """The masks of each policy on one segment.

    Args:
        data: the data folder.
        keys: segments; the first one with FRAMES frames is shown, else the longest.
        stamps: words that the title carries.
        seed: random seed of the masks.

    Returns:
        the figure; None without features.
    """
    with_features = [key for key in keys if data.feats is not None and key in data.feats]
    if not with_features:
        return None
    key = next((key for key in with_features if len(data.feats[key]) >= FRAMES), None)
    key = key or max(with_features, key=lambda key: len(data.feats[key]))
    feats = data.normal(key)[:FRAMES]
    masks = {name: shown_masks(name, key, feats.shape, seed) for name in POLICIES}

    def draw(canvas: Canvas) -> None:
        for axes, (name, places) in zip(
            canvas.subplots(len(masks), 1, sharex=True, squeeze=False)[:, 0], masks.items()
        ):
            low, high = np.percentile(feats, [2, 99.5])
            axes.imshow(feats.T, origin="lower", aspect="auto", cmap="cividis", vmin=low, vmax=high)
            for frames, bins in places:
                corner = (frames.start - 0.5, bins.start - 0.5)
                axes.add_patch(Rectangle(corner, frames.stop - frames.start, bins.stop - bins.start, facecolor="#000000",
                                         edgecolor="#ffffff", linewidth=0.7))  # fmt: skip
            axes.grid(False)
            axes.set_title(name if places else "unmasked")
            axes.set_ylabel("mel bin")
        axes.set_xlabel("frame (10 ms)")

    rows = [
        [name, *map(str, (p.max_bins, p.max_frames, f"{p.max_part:g}", p.num_freq, p.num_time)), _places(masks[name])]
        for name, p in POLICIES.items()
    ]
    columns = ["policy", "F", "W", "p", "Nf", "Nt", "masked in the figure"]
    table = Table("table-1", "Table 1. Mask policies, and the masks shown", columns, rows)
    notes = (
        f"Segment {key}, {len(feats)} frames. Black: masked, i.e. set to 0, the mean after normalisation.",
        f"The first draw (seed {seed}) without an empty mask is shown; in training, mask widths of 0 occur.",
    )
    alt = f"Spectrogram of {key} unmasked, and with the frequency and time masks of " + " and ".join(list(masks)[1:])
    title = "Figure 2. Spectrogram with masks"
    return figure("figure-2", title, draw, (7.4, 5.6), alt, stamps, notes, table)


def shown_masks(name: str, key: str, shape: tuple[int, int], seed: int) -> list[tuple[slice, slice]]:
    """Masks to show: of 100 draws, the first one without an empty mask, else the last.

    Args:
        name: policy.
        key: segment.
        shape: (frames, bins).
        seed: random seed.

    Returns:
        (frames, bins) slices of each mask.
    """
    for attempt in range(100):
        masks = draw_masks(POLICIES[name], Draws(seed, "figure 2", name, key, attempt), *shape)
        if all(frames.stop > frames.start and bins.stop > bins.start for frames, bins in masks):
            break
    return masks


def _places(masks: list[tuple[slice, slice]]) -> str:
    """The masks in words."""
    frequency = [f"bins {bins.start} to {bins.stop - 1}" for _, bins in masks[: len(masks) // 2]]
    time = [f"frames {frames.start} to {frames.stop - 1}" for frames, _ in masks[len(masks) // 2 :]]
    return ", ".join(frequency + time) or "none"
