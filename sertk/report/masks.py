"""Fig. 2: a spectrogram of the data, and what each policy's masks leave of it."""

import numpy as np
from matplotlib.patches import Rectangle

from sertk.data.keyed_random import Draws
from sertk.data.masks import POLICIES, draw_masks
from sertk.report.data import Data
from sertk.report.document import Figure, Table
from sertk.report.drawing import figure

FRAMES = 300  # the longest chunk that is trained on


def masks_figure(data: Data, keys, stamps: tuple[str, ...], seed: int = 0) -> Figure | None:
    """The first of `keys` that has FRAMES frames (or the longest) with the masks of each policy; None without features."""
    there = [key for key in keys if data.feats is not None and key in data.feats]
    if not there:
        return None
    key = next((key for key in there if len(data.feats[key]) >= FRAMES), None)
    key = key or max(there, key=lambda key: len(data.feats[key]))
    feats = data.normal(key)[:FRAMES]
    masks = {name: shown_masks(name, key, feats.shape, seed) for name in POLICIES}

    def draw(canvas):
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
            axes.set_title(name if places else "as it is")
            axes.set_ylabel("mel bin")
        axes.set_xlabel("frame (10 ms)")

    rows = [
        [name, *map(str, (p.max_bins, p.max_frames, f"{p.max_part:g}", p.num_freq, p.num_time)), _places(masks[name])]
        for name, p in POLICIES.items()
    ]
    columns = ["policy", "F", "W", "p", "Nf", "Nt", "masked here"]
    table = Table("table-1", "Table 1. The policies, and where their masks lie here", columns, rows)
    notes = (
        f"Segment {key}, {len(feats)} frames; black is masked: it is filled with 0, the mean after normalisation.",
        f"Shown is the first draw (of seed {seed}) in which no mask is empty; in training, widths from 0 on are drawn.",
    )
    alt = f"Spectrogram of {key} as it is, and with the frequency and time masks of " + " and ".join(list(masks)[1:])
    title = "Figure 2. What the masks leave of a spectrogram"
    return figure("figure-2", title, draw, (7.4, 5.6), alt, stamps, notes, table)


def shown_masks(name: str, key: str, shape: tuple[int, int], seed: int) -> list[tuple[slice, slice]]:
    """Masks of the policy `name` for a spectrogram of `shape` (frames, bins): of 100 draws, the first without an empty
    mask, else the last."""
    for attempt in range(100):
        masks = draw_masks(POLICIES[name], Draws(seed, "figure 2", name, key, attempt), *shape)
        if all(frames.stop > frames.start and bins.stop > bins.start for frames, bins in masks):
            break
    return masks


def _places(masks) -> str:
    frequency = [f"bins {bins.start} to {bins.stop - 1}" for _, bins in masks[: len(masks) // 2]]
    time = [f"frames {frames.start} to {frames.stop - 1}" for frames, _ in masks[len(masks) // 2 :]]
    return ", ".join(frequency + time) or "nothing"
