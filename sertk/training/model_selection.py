"""Model selection: the last epoch, or the best one on a fold that is not trained on.

The paper does not say how it selects, and leave-one-session-out has no development set. Three rules:

    last         the last epoch
    dev-session  the epoch with the best UA on one more fold, which is held out of the training too
    oracle       the epoch with the best UA on the held-out fold itself: its scores are stamped LEAKY
"""

import logging
from collections.abc import Sequence

import torch

from sertk.data.store import Store
from sertk.errors import SertkError
from sertk.models.inference import on_segments
from sertk.models.resnet import ResNet
from sertk.scoring.emotion import confusion, unweighted_accuracy, weighted_accuracy
from sertk.training.labelling import Labelling

log = logging.getLogger("sertk")


def development_fold(labelling: Labelling, rule: str, held_out: str | None) -> str | None:
    """Return the fold that selects the epoch, None for "last".

    Args:
        labelling: labels and folds.
        rule: "last", "dev-session" (the fold after `held_out`; the first after the last) or "oracle" (`held_out`).
        held_out: the fold that is not trained on.

    Raises:
        SertkError: there is no such fold, or only two folds for dev-session.
    """
    if rule == "last":
        return None
    folds = labelling.folds()
    if held_out not in folds:
        raise labelling.unknown_fold(held_out)
    if rule == "oracle":
        return held_out
    if len(folds) < 3:
        raise SertkError(f"--select {rule} takes a fold of the training away, and there are only {len(folds)} folds")
    return folds[(folds.index(held_out) + 1) % len(folds)]


def development_scores(truth: Sequence[int], decisions: Sequence[int], num_labels: int) -> dict[str, float]:
    """UA and WA on the development fold, for an epoch's record.

    Args:
        truth: label index of every segment.
        decisions: index of the label with the highest logit, of every segment.
        num_labels: outputs of the network.

    Example:
        >>> development_scores([0, 0, 0, 1], [0, 0, 1, 1], 2)
        {'dev_ua': 0.8333333333333333, 'dev_wa': 0.75}
    """
    counts = confusion(truth, decisions, num_labels)
    return {"dev_ua": unweighted_accuracy(counts), "dev_wa": weighted_accuracy(counts)}


class DevelopmentScorer:
    """Scores a network on the whole segments of the development fold, as predict-emotion decides on them.

    Args:
        store: features of the fold's segments.
        labelling: their labels.
        fold: name of the fold.
        device: where to compute.
        precision: "float32" or "bf16".
    """

    def __init__(self, store: Store, labelling: Labelling, fold: str, device: torch.device, precision: str) -> None:
        self.store, self.fold, self.device, self.precision = store, fold, device, precision
        self.truth, self.num_labels = [labelling.index(key) for key in store.keys], len(labelling.labels)

    def __call__(self, network: ResNet) -> dict[str, float]:
        """Score the network, which is left in evaluation mode."""
        segments = (self.store[index] for index in range(len(self.store)))
        feats = ((segment.key, segment.rows(0, segment.num_frames)) for segment in segments)
        logits = on_segments(network, feats, "logit", self.device, self.precision)
        scores = development_scores(self.truth, [int(vector.argmax()) for _, vector in logits], self.num_labels)
        ua, wa = 100 * scores["dev_ua"], 100 * scores["dev_wa"]
        log.info("fold %s, whole segments: UA %.2f %%, WA %.2f %%", self.fold, ua, wa)
        return scores


def selected_epoch(history: list[dict]) -> int:
    """Return the epoch, from 1, with the highest dev_ua, the first among equals; the last one if there are no dev_ua.

    Example:
        >>> selected_epoch([{"dev_ua": 0.5}, {"dev_ua": 0.7}, {"dev_ua": 0.7}, {"dev_ua": 0.6}])
        2
        >>> selected_epoch([{}, {}, {}])
        3
    """
    if not all("dev_ua" in record for record in history):
        return len(history)
    return 1 + max(range(len(history)), key=lambda index: history[index]["dev_ua"])


def selection_record(rule: str, epoch: int, fold: str | None, keys: Sequence[str]) -> dict:
    """What a model's card records of its selection, for the leak guard.

    Args:
        rule: "last", "dev-session" or "oracle".
        epoch: the selected one, from 1.
        fold: the development fold, None for "last".
        keys: segments of the development fold.
    """
    record = {"select": rule, "chosen_epoch": epoch}
    return record | ({"chosen_on": {"fold": fold, "keys": sorted(keys)}} if fold else {})
