"""Votes of each rater: `utt2votes`, a map of sertk's own.

    Ses01F-Ses01F_impro01_F000 E1=neu E2=fru,neu E4= F1=neu

A rater and the labels that they chose, none where they abstained. Evaluators are E1, E2 …; the self-assessments of the
speakers (F1, M1) are not counted as votes.
"""

import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError

Votes = list[tuple[str, ...]]  # the labels that each evaluator chose


def read_votes(path: str | os.PathLike) -> dict[str, Votes]:
    """Read the evaluators' votes for each segment.

    Raises:
        SertkError: a word is not RATER=LABEL,LABEL; the message names file and key.
    """
    votes = {}
    for utt, line in read_list(path, columns=None).items():
        pairs = [word.partition("=") for word in line.split()]
        if wrong := next((word for word, pair in zip(line.split(), pairs) if not (pair[0] and pair[1])), None):
            raise SertkError(f"{path}: {utt}: '{wrong}' is not RATER=LABEL,LABEL")
        votes[utt] = [tuple(filter(None, labels.split(","))) for rater, _, labels in pairs if rater.startswith("E")]
    return votes


def vote_shares(votes: Votes, labels: Sequence[str], label_map: Mapping[str, str] | None = None) -> np.ndarray | None:
    """Share of the votes for each label. Each rater has one vote, divided equally among the labels that they chose.

    Args:
        votes: of one segment.
        labels: the classes; votes for other labels are left out.
        label_map: rater label to class, as make-folds has it; without it labels are classes.

    Returns:
        (labels,) float64 of sum 1; None if no class got a vote.

    Raises:
        SertkError: label_map does not map labels to labels.

    Example:
        >>> vote_shares([("ang",), ("fru", "ang"), (), ("exc",)], ["ang", "hap"], {"ang": "ang", "exc": "hap"}).tolist()
        [0.6, 0.4]
    """
    check_label_map(label_map)
    number = {label: k for k, label in enumerate(labels)}
    shares = np.zeros(len(labels))
    for choice in votes:
        for rater_label in choice:
            label = rater_label if label_map is None else label_map.get(rater_label)
            if label in number:
                shares[number[label]] += 1 / len(choice)
    return shares / shares.sum() if shares.any() else None


def agreeing(votes: Votes, label_map: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Count the evaluators who chose the majority label, and all evaluators. Who chose two labels agrees with both.

    Args:
        votes: of one segment.
        label_map: labels that it maps to one class count as one; other labels stay as they are.

    Raises:
        SertkError: label_map does not map labels to labels.

    Example:
        >>> agreeing([("hap",), ("exc", "sur"), ()]), agreeing([("hap",), ("exc", "sur"), ()], {"exc": "hap", "hap": "hap"})
        ((1, 3), (2, 3))
    """
    check_label_map(label_map)
    counts: dict[str, int] = {}
    for choice in votes:
        for label in {(label_map or {}).get(label, label) for label in choice}:
            counts[label] = counts.get(label, 0) + 1
    return max(counts.values(), default=0), len(votes)


def check_label_map(label_map: object) -> None:
    """Check a label map out of a scheme.json, which users may edit.

    Raises:
        SertkError: it is neither None nor a map of label to label.
    """
    if label_map is None or (isinstance(label_map, Mapping) and all(isinstance(to, str) for to in label_map.values())):
        return
    raise SertkError(
        f"scheme.json beside the labels: 'label_map' must map labels to labels, it is {json.dumps(label_map)[:80]}"
    )
