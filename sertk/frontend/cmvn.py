"""Mean and variance normalisation of every bin, over each segment or over all segments of a group.

>>> normalise(np.array([[1, 5], [3, 5]], np.float32)).tolist()
[[-1.0, 0.0], [1.0, 0.0]]
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier, as_rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table

# Floor of the variances, as in Kaldi's apply-cmvn; constant bins are set to 0 apart from it.
VAR_FLOOR = np.float32(1e-20)
# A deviation of so small a part of the mean, or of 1, is rounding: frames of the same samples may differ in the last digits of
# their log-mels, since processors transform several frames at once and the remaining ones by themselves.
ROUNDING = 2.0**-18
# Frames that are summed in float32; such sums are added in float64.
STRETCH = 4096
_ONES = np.ones(STRETCH, np.float32)


def normalise(feats: np.ndarray, norm_vars: bool = True, out: np.ndarray | None = None) -> np.ndarray:
    """Normalise every bin to mean 0 and variance 1; a bin that is constant over the segment becomes 0.

    Args:
        feats: (frames, bins) float32, finite (the table readers refuse NaN and infinite values)
        norm_vars: normalise the variance too
        out: array for the result, of the shape of `feats`, or `feats` itself; None makes a new one

    Returns:
        (frames, bins) float32
    """
    if not len(feats):
        return feats.astype(np.float32)
    # In a constant bin the variance is rounding error, which would be scaled to ±1.
    constant = feats[0] == feats[-1]
    if constant.any():
        constant[constant] = (feats[:, constant] == feats[0, constant]).all(axis=0)
    # Column sums as a product with ones are twice as fast as mean() and std().
    mean = column_means(feats)
    normal = np.subtract(feats, mean, out=out)
    if norm_vars:
        variance = column_means(normal, np.square)
        constant |= variance <= least_variance(mean)
        normal *= 1 / np.sqrt(np.maximum(variance, VAR_FLOOR))
    if constant.any():
        normal[:, constant] = 0
    return normal


def least_variance(mean: np.ndarray) -> np.ndarray:
    """Largest variance of a bin of that mean that counts as rounding. Shape: (bins,) -> (bins,)."""
    return np.square(ROUNDING * np.maximum(np.abs(mean), 1))


def statistics(feats: np.ndarray) -> np.ndarray:
    """What `normalise` takes away: mean of every bin, then standard deviation of every bin.

    Args:
        feats: (frames, bins) float32, at least one frame

    Returns:
        (2 * bins,) float32

    Example:
        >>> statistics(np.array([[1, 5], [3, 5]], np.float32)).tolist()
        [2.0, 5.0, 1.0, 0.0]
    """
    mean = column_means(feats)
    return np.concatenate([mean, np.sqrt(column_means(feats - mean, np.square))])


def column_means(feats: np.ndarray, of: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Mean over the frames.

    Args:
        feats: (frames, bins) float32
        of: elementwise function whose mean is computed instead, such as np.square

    Returns:
        (bins,) float32
    """
    if len(feats) <= STRETCH:
        return _ONES[: len(feats)] @ (of(feats) if of else feats) / np.float32(len(feats))
    parts = (feats[start : start + STRETCH] for start in range(0, len(feats), STRETCH))
    total = sum((_ONES[: len(part)] @ (of(part) if of else part)).astype(np.float64) for part in parts)
    return (total / len(feats)).astype(np.float32)


class Moments:
    """Sums over the segments of a group, for its mean and variance.

    Args:
        bins: number of bins
    """

    def __init__(self, bins: int) -> None:
        self.frames, self.sums, self.squares = 0, np.zeros(bins), np.zeros(bins)
        self.low, self.high = np.full(bins, np.inf, np.float32), np.full(bins, -np.inf, np.float32)

    def add(self, feats: np.ndarray) -> None:
        """Add a segment, (frames, bins)."""
        if len(feats):
            wide = feats.astype(np.float64)
            self.frames += len(feats)
            self.sums += wide.sum(axis=0)
            self.squares += np.einsum("ij,ij->j", wide, wide)
            self.low, self.high = np.minimum(self.low, feats.min(axis=0)), np.maximum(self.high, feats.max(axis=0))

    def normalise(self, feats: np.ndarray, norm_vars: bool = True) -> np.ndarray:
        """Normalise by the group's mean and variance; bins that are constant in the group become 0.

        Args:
            feats: (frames, bins) float32
            norm_vars: normalise the variance too

        Returns:
            (frames, bins) float32, a new array
        """
        mean = self.sums / max(self.frames, 1)
        normal, constant = feats - mean.astype(np.float32), self.low >= self.high
        if norm_vars:
            variance = self.squares / max(self.frames, 1) - mean**2
            constant |= variance <= least_variance(mean)
            normal *= (1 / np.sqrt(np.maximum(variance, VAR_FLOOR))).astype(np.float32)
        normal[:, constant] = 0
        return normal


def settings_of(source: Rspecifier | str, norm_vars: bool = True, utt2group: Path | None = None) -> dict:
    """Front-end settings for the manifest of the normalised table: those of the source, and `cmvn`.

    Args:
        source: the table that is normalised
        norm_vars: the variance is normalised too
        utt2group: map from utterance to group, if groups are normalised

    Returns:
        Settings, for groups with the name of the map, and `transductive`: their segments share statistics.

    Raises:
        SertkError: if the source's manifest says that it is normalised already.
    """
    manifest = read_manifest(source)
    settings = dict(manifest.settings) if manifest else {}
    if settings.get("cmvn", "none") != "none":
        raise SertkError(f"{source}: is normalised already (its manifest says cmvn: {settings['cmvn']})")
    settings["cmvn"] = ("group" if utt2group else "segment") + ("" if norm_vars else " mean")
    return settings | ({"group": utt2group.name, "transductive": True} if utt2group else {})


def normalised_table(
    source: Rspecifier | str,
    norm_vars: bool,
    utt2group: Path | None,
    verify: bool,
    skip: Callable[[str, str], None],
    on_statistics: Callable[[str, np.ndarray], None] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Normalise the segments of a table.

    Args:
        source: the table; with `utt2group` it is read twice and must be a file
        norm_vars: normalise the variance too
        utt2group: map from utterance to group, to normalise over groups; None: over each segment
        verify: check the table against its manifest first
        skip: called with key and reason for a segment that is empty or not in `utt2group`
        on_statistics: called with key and `statistics` of each segment that is normalised alone

    Yields:
        Key and normalised segment, (frames, bins) float32.

    Raises:
        SertkError: if the table cannot be read, or cannot be read twice.
    """
    if utt2group is None:
        for key, feats in filled(read_table(source, verify=verify, skip=skip), skip):
            if on_statistics:
                on_statistics(key, statistics(feats))
            yield key, normalise(feats, norm_vars)
        return
    source = as_rspecifier(source)
    if not source.rxfilename.stored:
        raise SertkError(f"{source}: --utt2group reads the table twice, so it must be a file")
    groups, moments = read_list(utt2group), {}

    def silently(key: str, reason: str) -> None:
        """Skip in the second pass what the first pass has reported."""

    for key, feats in filled(read_table(source, verify=verify, skip=skip), skip):
        if key in groups:
            moments.setdefault(groups[key], Moments(feats.shape[1])).add(feats)
    for key, feats in filled(read_table(source, skip=silently), silently):
        if key in groups:
            yield key, moments[groups[key]].normalise(feats, norm_vars)
        else:
            skip(key, f"not in {utt2group}")
