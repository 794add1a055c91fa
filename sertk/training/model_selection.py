"""Which epoch's network is kept: the last one's, or the best one's on segments that it was not trained on.

The paper says nothing of it, and leaving one session out leaves no development set. Three rules:

    last         the network of the last epoch
    dev-session  one more fold is held out of the training, and its UA chooses
    oracle       the UA of the held-out fold itself chooses: its scores are then stamped LEAKY
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


def choosing_fold(labelling: Labelling, rule: str, held_out: str | None) -> str | None:
    """The fold whose segments choose the epoch: for dev-session the one after `held_out`, after the last the first.

    Raises:
        SertkError: where there is no such fold, or for dev-session only two.
    """
    if rule == "last":
        return None
    folds = labelling.folds()
    if held_out not in folds:
        raise labelling.no_such_fold(held_out)
    if rule == "oracle":
        return held_out
    if len(folds) < 3:
        raise SertkError(f"--select {rule} takes a fold of the training away, and there are only {len(folds)} folds")
    return folds[(folds.index(held_out) + 1) % len(folds)]


def figures(truth: Sequence[int], guess: Sequence[int], num_labels: int) -> dict[str, float]:
    """What an epoch's record says of the choosing fold's segments, of their labels and what they were taken for.

    Example:
        >>> figures([0, 0, 0, 1], [0, 0, 1, 1], 2)
        {'dev_ua': 0.8333333333333333, 'dev_wa': 0.75}
    """
    counts = confusion(truth, guess, num_labels)
    return {"dev_ua": unweighted_accuracy(counts), "dev_wa": weighted_accuracy(counts)}


class Development:
    """Looks at a network by its decisions on the whole segments of the choosing fold, as predict-emotion does.

    Args:
        store: the fold's segments.
        labelling: their labels.
        fold: its name.
        device, precision: of the computation.
    """

    def __init__(self, store: Store, labelling: Labelling, fold: str, device: torch.device, precision: str) -> None:
        self.store, self.fold, self.device, self.precision = store, fold, device, precision
        self.truth, self.num_labels = [labelling.index(key) for key in store.keys], len(labelling.labels)

    def __call__(self, network: ResNet) -> dict[str, float]:
        """The figures of the network as it is; it is left in evaluation mode."""
        segments = (self.store[index] for index in range(len(self.store)))
        whole = ((segment.key, segment.rows(0, segment.num_frames)) for segment in segments)
        logits = on_segments(network, whole, "logit", self.device, self.precision)
        found = figures(self.truth, [int(vector.argmax()) for _, vector in logits], self.num_labels)
        log.info(
            "fold %s, whole segments: UA %.2f %%, WA %.2f %%", self.fold, 100 * found["dev_ua"], 100 * found["dev_wa"]
        )
        return found


def chosen_epoch(history: list[dict]) -> int:
    """The epoch, counted from 1, whose dev_ua is the greatest, the first of equals; the last one without any dev_ua.

    Example:
        >>> chosen_epoch([{"dev_ua": 0.5}, {"dev_ua": 0.7}, {"dev_ua": 0.7}, {"dev_ua": 0.6}])
        2
        >>> chosen_epoch([{}, {}, {}])
        3
    """
    if not all("dev_ua" in record for record in history):
        return len(history)
    return 1 + max(range(len(history)), key=lambda index: history[index]["dev_ua"])


def how_chosen(rule: str, epoch: int, fold: str | None, keys: Sequence[str]) -> dict:
    """What a model's card says of it, for the guard against leaks: `keys` are the segments that chose."""
    record = {"select": rule, "chosen_epoch": epoch}
    return record | ({"chosen_on": {"fold": fold, "keys": sorted(keys)}} if fold else {})
