"""Accuracy by rater agreement, and cross-entropy between posteriors and rater votes.

A majority label hides disagreement between raters. Two measures show it: WA and UA on segments with unanimous votes and on
those with a majority only; and the cross-entropy of the posteriors with the distribution of the votes, whose lower bound
is the entropy of the votes.

Source: Mower, Matarić and Narayanan 2011, "A Framework for Automatic Human Emotion Classification Using Emotion
Profiles" (IEMOCAP's prototypical and non-prototypical segments); Uma et al. 2021, "Learning from Disagreement: A Survey"
(cross-entropy as soft evaluation).

>>> votes = [[("ang",), ("ang",)], [("ang",), ("neu",)]]
>>> posteriors = np.array([[0.5, 0.5], [0.5, 0.5]])
>>> scores = agreement_scores(np.array([0, 0]), posteriors, votes, ["ang", "neu"])
>>> [round(scores[name], 4) for name in ("cross_entropy", "entropy")]  # ln 2 each; 0 and ln 2
[0.6931, 0.3466]
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sertk.datadir.votes import Votes, agreeing, vote_shares
from sertk.scoring.emotion import Accuracy, confusion

# log of a posterior that is stored as 0: float32's smallest normal number.
_FLOOR = float(np.finfo(np.float32).tiny)


def agreement_scores(
    truth: np.ndarray,
    posteriors: np.ndarray,
    votes: Sequence[Votes],
    labels: Sequence[str],
    label_map: Mapping[str, str] | None = None,
) -> dict:
    """Accuracies by rater agreement, and cross-entropy with the votes.

    Args:
        truth: (segments,) class indices.
        posteriors: (segments, classes) float64.
        votes: the raters' votes on each segment.
        labels: class names, in the order of the posteriors.
        label_map: label -> class, for experiments that merge labels; None: labels are the classes.

    Returns:
        plain JSON: `full` (unanimous) and `partial` agreement, each {segments, wa, ua} with None for no segments; and, over
        the `segments` with a vote for one of `labels`, `cross_entropy` and the `entropy` of the votes, in nats.
    """
    guess = posteriors.argmax(axis=1)
    counted = [agreeing(segment_votes, label_map) for segment_votes in votes]
    full = np.array([most == raters > 0 for most, raters in counted])
    some = np.array([most > 0 for most, _ in counted])
    shares = [vote_shares(segment_votes, labels, label_map) for segment_votes in votes]
    voted = np.array([share is not None for share in shares])
    target = np.array([share for share in shares if share is not None]).reshape(-1, len(labels))
    log_posteriors = np.log(np.maximum(posteriors[voted], _FLOOR))
    log_target = np.log(np.maximum(target, _FLOOR))
    return {
        "full": _accuracy(truth[full], guess[full], len(labels)),
        "partial": _accuracy(truth[some & ~full], guess[some & ~full], len(labels)),
        "segments": int(voted.sum()),
        "cross_entropy": _mean(-(target * log_posteriors).sum(axis=1)),
        "entropy": _mean(-(target * log_target).sum(axis=1)),
    }


def _accuracy(truth: np.ndarray, guess: np.ndarray, num_classes: int) -> dict:
    """WA and UA as plain JSON, None without segments."""
    accuracy = Accuracy.of(confusion(truth, guess, num_classes))
    known = accuracy.segments > 0
    return {"segments": accuracy.segments, "wa": accuracy.wa if known else None, "ua": accuracy.ua if known else None}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
