"""What each rater heard: `utt2votes`, a map of our own.

    Ses01F-Ses01F_impro01_F000 E1=neu E2=fru,neu E4= F1=neu

A rater and the labels that he chose, none where he abstained. Evaluators are E1, E2 …; the speakers (F1, M1) judged
themselves, which is no vote on what others hear.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from sertk.datadir.lists import read_list
from sertk.errors import SertkError

Votes = list[tuple[str, ...]]  # of each evaluator, the labels that he chose


def read_votes(path) -> dict[str, Votes]:
    """The evaluators' votes of each segment.

    Raises SertkError with file and key for a word that is not RATER=LABEL,LABEL.
    """
    found = {}
    for utt, line in read_list(path, columns=None).items():
        pairs = [word.partition("=") for word in line.split()]
        if wrong := next((word for word, pair in zip(line.split(), pairs) if not (pair[0] and pair[1])), None):
            raise SertkError(f"{path}: {utt}: '{wrong}' is not RATER=LABEL,LABEL")
        found[utt] = [tuple(filter(None, said.split(","))) for rater, _, said in pairs if rater.startswith("E")]
    return found


def vote_shares(votes: Votes, labels: Sequence[str], label_map: Mapping[str, str] | None = None) -> np.ndarray | None:
    """The share of the votes that each of `labels` got, (labels,) of sum 1; None where none got any.

    A rater has one vote, shared equally by the labels that he chose; what goes to none of `labels` is left out.
    label_map: what the raters' labels are called here (make-folds's), as they are without one.
    Raises SertkError where label_map is no map of labels.

    >>> vote_shares([("ang",), ("fru", "ang"), (), ("exc",)], ["ang", "hap"], {"ang": "ang", "exc": "hap"}).tolist()
    [0.6, 0.4]
    """
    check_label_map(label_map)
    number = {label: k for k, label in enumerate(labels)}
    shares = np.zeros(len(labels))
    for said in votes:
        for label in said:
            here = label if label_map is None else label_map.get(label)
            if here in number:
                shares[number[here]] += 1 / len(said)
    return shares / shares.sum() if shares.any() else None


def agreeing(votes: Votes, label_map: Mapping[str, str] | None = None) -> tuple[int, int]:
    """How many evaluators chose the label that most of them chose, and how many there were.

    label_map: labels that are one here count as one; those that it has not stay what they are. A rater who chose two
    labels agrees with both. Raises SertkError where label_map is no map of labels.

    >>> agreeing([("hap",), ("exc", "sur"), ()]), agreeing([("hap",), ("exc", "sur"), ()], {"exc": "hap", "hap": "hap"})
    ((1, 3), (2, 3))
    """
    check_label_map(label_map)
    counts: dict[str, int] = {}
    for said in votes:
        for label in {(label_map or {}).get(label, label) for label in said}:
            counts[label] = counts.get(label, 0) + 1
    return max(counts.values(), default=0), len(votes)


def check_label_map(label_map) -> None:
    """SertkError unless it is None or a map of label to label: it comes out of a scheme.json, as whoever wrote it."""
    if label_map is None or (isinstance(label_map, Mapping) and all(isinstance(to, str) for to in label_map.values())):
        return
    raise SertkError(
        f"scheme.json beside the labels: 'label_map' is to be a map of label to label, it is {json.dumps(label_map)[:80]}"
    )
