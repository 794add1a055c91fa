"""Statistics of the features of many segments."""

from functools import reduce
from operator import add

import numpy as np

from sertk.data.moments import moments
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
    read = np.linspace(0, len(store) - 1, min(most, len(store))).astype(int).tolist()
    whole = reduce(add, (moments(store[index].rows(0, store[index].num_frames)) for index in read))
    return whole.mean.astype(np.float32), np.maximum(whole.deviation, LEAST).astype(np.float32)
