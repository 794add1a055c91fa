"""Groups of speakers for cross-validation, with about the same numbers of men, of women, and of segments of each class."""

from collections.abc import Mapping, Sequence

import numpy as np

# Above, the exchanges of all pairs of speakers would take gigabytes; the greedy division of so many is even already.
_MOST_EXCHANGED = 3000


def balanced_groups(
    utt2label: Mapping[str, str],
    labels: Sequence[str],
    speaker_of: Mapping[str, str],
    gender_of: Mapping[str, str],
    number: int,
) -> dict[str, int]:
    """Divide speakers into groups.

    Args:
        utt2label: label of each segment.
        labels: class names.
        speaker_of: speaker of each segment.
        gender_of: gender of each speaker; {} if unknown.
        number: number of groups, at most that of the speakers.

    Returns:
        group of each speaker, from 1, numbered by their first speakers. It depends on the arguments alone.

    Example:
        >>> utt2label = {"a1": "ang", "b1": "ang", "c1": "sad", "d1": "sad"}
        >>> speaker_of = {"a1": "a", "b1": "b", "c1": "c", "d1": "d"}
        >>> balanced_groups(utt2label, ["ang", "sad"], speaker_of, {}, 2)
        {'a': 1, 'b': 2, 'c': 1, 'd': 2}
    """
    speakers = sorted({speaker_of[utt] for utt in utt2label})
    genders = sorted({gender_of.get(speaker, "") for speaker in speakers})
    counts = np.zeros((len(speakers), len(labels) + len(genders)))
    row, column = {speaker: n for n, speaker in enumerate(speakers)}, {label: n for n, label in enumerate(labels)}
    for utt, label in utt2label.items():
        counts[row[speaker_of[utt]], column[label]] += 1
    for n, speaker in enumerate(speakers):
        # Speakers of each gender weigh as much as all classes together.
        counts[n, len(labels) + genders.index(gender_of.get(speaker, ""))] = 1
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    shares[:, len(labels) :] *= np.sqrt(len(labels))
    group = divide_evenly(shares, number)
    names = {first: n for n, first in enumerate(dict.fromkeys(group.tolist()), 1)}
    return {speaker: names[group[n]] for n, speaker in enumerate(speakers)}


def divide_evenly(shares: np.ndarray, number: int) -> np.ndarray:
    """Divide rows into groups whose sums are as equal as a local search finds: least sum of squares over groups and columns.

    Args:
        shares: (rows, columns), not negative.
        number: number of groups, at most that of the rows.

    Returns:
        (rows,) group from 0; none is empty.

    Example:
        >>> divide_evenly(np.array([[5.0], [4], [3], [2], [2]]), 2).tolist()
        [1, 0, 1, 0, 0]
    """
    group = np.full(len(shares), -1)
    sums, sizes = np.zeros((number, shares.shape[1])), np.zeros(number, int)
    # The largest first, each where it adds least; the last ones to groups that are still empty.
    for left, n in enumerate(np.argsort(-shares.sum(axis=1), kind="stable")):
        costs = sums @ shares[n]
        if len(shares) - left <= (sizes == 0).sum():
            costs[sizes > 0] = np.inf
        group[n] = costs.argmin()
        sums[group[n]] += shares[n]
        sizes[group[n]] += 1
    while len(shares) <= _MOST_EXCHANGED:
        one, other, gain = _best_exchange(shares, group, sums)
        if gain > -1e-9:
            break
        change = shares[other] - shares[one]
        sums[group[one]] += change
        sums[group[other]] -= change
        group[[one, other]] = group[[other, one]]
    return group


def _best_exchange(shares: np.ndarray, group: np.ndarray, sums: np.ndarray) -> tuple[int, int, float]:
    """The two rows whose exchange lowers the sum of squares most, and the difference that it makes."""
    products, own = shares @ sums.T, shares @ shares.T
    here = products[np.arange(len(shares)), group]  # x_i · S_group(i)
    there = products[:, group]  # x_i · S_group(j)
    squares = np.diag(own)
    # |S_a + d|² + |S_b - d|² - |S_a|² - |S_b|² for d = x_j - x_i.
    gains = 2 * (there.T - here[:, None] - here[None, :] + there) + 2 * (squares[:, None] + squares[None, :] - 2 * own)
    gains[group[:, None] == group[None, :]] = np.inf
    one, other = divmod(int(gains.argmin()), len(shares))
    return one, other, float(gains[one, other])
