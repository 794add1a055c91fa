"""Gaps between groups of speakers (sex, age, race), tested against chance.

The measures are a group's UA, and its recall of each class. The largest gap is that between the best and the worst group.
If groups made no difference, speakers could exchange theirs: p is the share of random assignments of the speakers to the
groups, with the sizes of the groups kept, whose largest gap is as large. Taking the largest gap over all pairs of groups (and
over all classes) in each assignment corrects for the choice.

Source: Phipson and Smyth 2010 (p counts the observed assignment, and is never 0).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from sertk.scoring.intervals import FEW
from sertk.scoring.paired import holm
from sertk.scoring.variance import run_counts

DRAWS = 9999
# Most elements of the group sums in memory at once.
_BLOCK = 4_000_000


def gaps(
    truth: np.ndarray,
    guess: np.ndarray,
    speakers: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict:
    """Largest gaps between groups of speakers.

    Args:
        truth: (segments,) class indices.
        guess: (segments,) or (runs, segments) predicted class indices.
        speakers: (segments,) speaker of each segment.
        groups: name -> group of each segment. Groups of fewer than 5 speakers are left out; a name without two groups, or
            with a speaker in two groups, is not tested.
        labels: class names.
        draws: random assignments.
        seed: random seed of the assignments.

    Returns:
        name -> `speakers` (number of each group), `left_out` (too small groups), `least_p`, and `ua` and `recall`, each with
        `gap`, `high` and `low` (the groups), `p`, `holm` (p corrected for all gaps returned); `recall` is the class with
        the largest gap (`label`).
    """
    names, of_segment = np.unique(np.asarray(speakers), return_inverse=True)
    counts = run_counts(truth, np.atleast_2d(guess), of_segment, len(labels)).mean(axis=0)
    hits, rows = np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2)
    tested = {}
    for name, values in groups.items():
        group_of = dict(zip(of_segment.tolist(), values))
        if any(group_of[speaker] != value for speaker, value in zip(of_segment.tolist(), values)):
            continue
        sizes = Counter(group_of.values())
        kept = sorted(group for group, number in sizes.items() if number >= FEW)
        if len(kept) < 2:
            continue
        members = [n for n in range(len(names)) if group_of[n] in kept]
        group = np.array([kept.index(group_of[n]) for n in members])
        tested[name] = {
            "speakers": {one: sizes[one] for one in kept},
            "left_out": {one: sizes[one] for one in sorted(sizes) if one not in kept},
            "least_p": max(_least_p([sizes[one] for one in kept]), 1 / (draws + 1)),
            **_tested(hits[members], rows[members], group, kept, labels, draws, seed),
        }
    return corrected(tested)


def corrected(tested: dict) -> dict:
    """`tested`, as of `gaps`, with `holm`: p corrected for all its gaps."""
    found = [part[measure] for part in tested.values() for measure in ("ua", "recall")]
    for gap, p in zip(found, holm([gap["p"] for gap in found])):
        gap["holm"] = p
    return tested


def _tested(
    hits: np.ndarray,
    rows: np.ndarray,
    group: np.ndarray,
    names: Sequence[str],
    labels: Sequence[str],
    draws: int,
    seed: int,
) -> dict:
    """Gaps in UA and recall, and their p.

    Args:
        hits: (speakers, classes) correct segments.
        rows: (speakers, classes) all segments.
        group: (speakers,) index of each speaker's group.
        names: of the groups.
        labels: class names.
        draws: random assignments.
        seed: random seed.
    """
    rng = np.random.default_rng(seed)
    ua, recalls = _measures(hits, rows, group[None], len(names))
    wanted = [gap - 1e-12 for gap in _largest(ua, recalls)]  # equal up to the rounding of sums in another order
    reached, block = np.ones(2), max(1, _BLOCK // group.size // len(names))
    for start in range(0, draws, block):
        assignments = rng.permuted(np.tile(group, (min(block, draws - start), 1)), axis=1)
        reached += [
            (gap >= least).sum()
            for gap, least in zip(_largest(*_measures(hits, rows, assignments, len(names))), wanted)
        ]
    p_ua, p_recall = (reached / (draws + 1)).tolist()
    label = int(_spread(recalls)[0].argmax())
    return {
        "ua": {**_ends(ua[0], names), "p": p_ua},
        "recall": {"label": labels[label], **_ends(recalls[0, :, label], names), "p": p_recall},
    }


def _measures(hits: np.ndarray, rows: np.ndarray, group: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """UA (assignments, groups) over the classes of each group, and recalls (assignments, groups, classes), NaN without any.

    Args:
        hits: (speakers, classes) correct segments.
        rows: (speakers, classes) all segments.
        group: (assignments, speakers) index of each speaker's group.
        number: of groups.
    """
    members = (group[:, None, :] == np.arange(number)[:, None]).astype(np.float64)
    correct, total = members @ hits, members @ rows
    recalls = np.divide(correct, total, out=np.full(total.shape, np.nan), where=total > 0)
    return np.nansum(recalls, axis=2) / (total > 0).sum(axis=2), recalls


def _largest(ua: np.ndarray, recalls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest gap in UA, and in the recall of any class, (assignments,) each."""
    return ua.max(axis=1) - ua.min(axis=1), _spread(recalls).max(axis=1)


def _spread(recalls: np.ndarray) -> np.ndarray:
    """Largest gap between groups that have the class, (assignments, classes); -inf of a class that no group has."""
    absent = np.isnan(recalls)
    return np.where(absent, -np.inf, recalls).max(axis=1) - np.where(absent, np.inf, recalls).min(axis=1)


def _ends(values: np.ndarray, names: Sequence[str]) -> dict:
    """The gap of (groups,) values, and the best and the worst group."""
    high, low = int(np.nanargmax(values)), int(np.nanargmin(values))
    return {"gap": float(values[high] - values[low]), "high": names[high], "low": names[low]}


def _least_p(sizes: Sequence[int]) -> float:
    """Smallest possible p: the share of assignments that only exchange the names of equally large groups.

    >>> _least_p([5, 5]) == 2 / 252, _least_p([5, 6]) == 1 / 462
    (True, True)
    """
    same = math.prod(math.factorial(number) for number in Counter(sizes).values())
    return same * math.prod(map(math.factorial, sizes)) / math.factorial(sum(sizes))
