"""Mean and variance normalisation, bin by bin: over a segment alone, or over all segments of a group.

>>> normalise(np.array([[1, 5], [3, 5]], np.float32)).tolist()
[[-1.0, 0.0], [1.0, 0.0]]
"""

from collections.abc import Callable, Iterator

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.streams import classify_input
from sertk.kaldi.tables import filled, read_manifest, read_table

# Variances are floored here as Kaldi's are (apply-cmvn); constant columns are found before that and become 0.
VAR_FLOOR = np.float32(1e-20)
# Frames that are summed in float32 before float64 takes over.
STRETCH = 4096
_ONES = np.ones(STRETCH, np.float32)


def normalise(feats: np.ndarray, norm_vars: bool = True, out: np.ndarray | None = None) -> np.ndarray:
    """`feats` (frames, bins) float32 with mean 0 and, with `norm_vars`, variance 1 in every bin: in `out`, or a new array.

    A bin that is constant over the segment becomes 0. NaN or inf must have been refused before (the readers do).

    Args:
        out: of the shape of `feats`, which it may be itself.
    """
    if not len(feats):
        return feats.astype(np.float32)
    # What rounding leaves of a constant column would be blown up to ±1.
    constant = feats[0] == feats[-1]
    if constant.any():
        constant[constant] = (feats[:, constant] == feats[0, constant]).all(axis=0)
    # Twice as fast as mean() and std(): column sums as a product with ones, squares over the flat array.
    normal = np.subtract(feats, column_means(feats), out=out)
    if norm_vars:
        normal *= 1 / np.sqrt(np.maximum(column_means(normal, np.square), VAR_FLOOR))
    if constant.any():
        normal[:, constant] = 0
    return normal


def column_means(feats: np.ndarray, of=None) -> np.ndarray:
    """Mean over the frames, or that of the function `of` them: (bins,) float32."""
    if len(feats) <= STRETCH:
        return _ONES[: len(feats)] @ (of(feats) if of else feats) / np.float32(len(feats))
    parts = (feats[start : start + STRETCH] for start in range(0, len(feats), STRETCH))
    total = sum((_ONES[: len(part)] @ (of(part) if of else part)).astype(np.float64) for part in parts)
    return (total / len(feats)).astype(np.float32)


class Moments:
    """Sums over the segments of a group, from which the group's mean and variance come."""

    def __init__(self, bins: int):
        self.frames, self.sums, self.squares = 0, np.zeros(bins), np.zeros(bins)
        self.low, self.high = np.full(bins, np.inf, np.float32), np.full(bins, -np.inf, np.float32)

    def add(self, feats: np.ndarray):
        """Take in a segment, (frames, bins)."""
        if len(feats):
            wide = feats.astype(np.float64)
            self.frames += len(feats)
            self.sums += wide.sum(axis=0)
            self.squares += np.einsum("ij,ij->j", wide, wide)
            self.low, self.high = np.minimum(self.low, feats.min(axis=0)), np.maximum(self.high, feats.max(axis=0))

    def normalise(self, feats: np.ndarray, norm_vars: bool = True) -> np.ndarray:
        """`feats` by the group's mean and variance: a new array; bins that are constant in the group become 0."""
        mean = self.sums / max(self.frames, 1)
        normal = feats - mean.astype(np.float32)
        if norm_vars:
            variance = self.squares / max(self.frames, 1) - mean**2
            normal *= (1 / np.sqrt(np.maximum(variance, VAR_FLOOR))).astype(np.float32)
        normal[:, self.low >= self.high] = 0
        return normal


def settings_of(source: Rspecifier | str, norm_vars: bool = True, utt2group=None) -> dict:
    """What a table's manifest says of its front end, and that it is normalised now; SertkError if it was before."""
    manifest = read_manifest(source)
    settings = dict(manifest.settings) if manifest else {}
    if settings.get("cmvn", "none") != "none":
        raise SertkError(f"{source}: is normalised already (its manifest says cmvn: {settings['cmvn']})")
    settings["cmvn"] = ("group" if utt2group else "segment") + ("" if norm_vars else " mean")
    return settings | ({"transductive": True} if utt2group else {})


def normalised_table(
    source: Rspecifier | str, norm_vars: bool, utt2group, verify: bool, skip: Callable[[str, str], None]
) -> Iterator[tuple[str, np.ndarray]]:
    """The segments of a table, normalised one by one or, with the map `utt2group`, by the moments of their group.

    The table is then read twice, so it must be a file. `skip` is called with the key and the reason for segments that
    are empty or that the map does not have.
    """
    if utt2group is None:
        for key, feats in filled(read_table(source, verify=verify, skip=skip), skip):
            yield key, normalise(feats, norm_vars)
        return
    source = as_rspecifier(source)
    if classify_input(source.filename) not in ("file", "offset"):
        raise SertkError(f"{source}: --utt2group reads the table twice: a file is wanted")
    groups, moments = read_list(utt2group), {}

    def silently(*_):
        """The second reading skips what the first one has told of."""

    for key, feats in filled(read_table(source, verify=verify, skip=skip), skip):
        if key in groups:
            moments.setdefault(groups[key], Moments(feats.shape[1])).add(feats)
    for key, feats in filled(read_table(source, skip=silently), silently):
        if key in groups:
            yield key, moments[groups[key]].normalise(feats, norm_vars)
        else:
            skip(key, f"{utt2group} does not name it")
