"""How a system does where its raters agree, and how near its posteriors come to their votes.

A majority label hides how sure people were. Two measures show it: WA and UA where all evaluators chose one class, beside
those where only most did; and the cross-entropy of the posteriors to the shares of the votes. The votes' own entropy is
what posteriors that equal the shares would have, the least there can be.

Source: Mower, Matarić and Narayanan 2011, "A Framework for Automatic Human Emotion Classification Using Emotion
Profiles" (IEMOCAP's prototypical and non-prototypical segments); Uma et al. 2021, "Learning from Disagreement: A Survey"
(cross-entropy as soft evaluation).

>>> votes = [[("ang",), ("ang",)], [("ang",), ("neu",)]]
>>> posteriors = np.array([[0.5, 0.5], [0.5, 0.5]])
>>> found = agreement_scores(np.array([0, 0]), posteriors, votes, ["ang", "neu"])
>>> [round(found[name], 4) for name in ("cross_entropy", "entropy")]  # ln 2 each; 0 and ln 2
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
    """Plain JSON: `full` and `partial` agreement, each {segments, wa, ua} (None of no segments), and over the
    `segments` with a vote for one of `labels` the `cross_entropy` and the votes' own `entropy`, in nats.

    truth (segments,) class numbers, posteriors (segments, classes), votes: each segment's.
    """
    guess = posteriors.argmax(axis=1)
    counted = [agreeing(said, label_map) for said in votes]
    full = np.array([most == raters > 0 for most, raters in counted])
    some = np.array([most > 0 for most, _ in counted])
    shares = [vote_shares(said, labels, label_map) for said in votes]
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
    found = Accuracy.of(confusion(truth, guess, num_classes))
    there = bool(found.segments)
    return {"segments": found.segments, "wa": found.wa if there else None, "ua": found.ua if there else None}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
