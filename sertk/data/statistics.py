"""Statistics of the features of many segments."""

import numpy as np

from sertk.data.store import Store

# Segments that are read, evenly spaced: with a thousand speakers a few more change nothing, and all of VoxCeleb is 500 GB.
ENOUGH = 5000
# Smallest deviation of a bin: one that never changes is 0 after normalisation.
LEAST = 1e-3


def bin_statistics(store: Store, most: int = ENOUGH) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every bin over the frames of all segments.

    Args:
        store: the segments.
        most: segments that are read; of a larger store as many, evenly spaced.

    Returns:
        (bins,) float32 each; a deviation is at least LEAST.
    """
    # Shifted by the first frame, so that the squares of a small variance do not vanish beside those of the level.
    shift = store[0].rows(0, 1)[0].astype(np.float64)
    frames, total, squares = 0, np.zeros(store.bins), np.zeros(store.bins)
    for index in np.linspace(0, len(store) - 1, min(most, len(store))).astype(int).tolist():
        segment = store[index]
        values = segment.rows(0, segment.num_frames) - shift
        frames += len(values)
        total += values.sum(axis=0)
        squares += np.einsum("tb,tb->b", values, values)
    mean = total / frames
    deviation = np.sqrt(np.maximum(squares / frames - mean * mean, 0))
    return (shift + mean).astype(np.float32), np.maximum(deviation, LEAST).astype(np.float32)
