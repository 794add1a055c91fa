"""Labels and folds of a task: which segments are trained on, and which output belongs to each."""

import logging
from dataclasses import dataclass, field
from functools import cached_property

from sertk.data.store import Store
from sertk.datadir.foldnames import in_order
from sertk.errors import SertkError

log = logging.getLogger("sertk")


@dataclass(frozen=True)
class Labelling:
    """The labels, folds and speakers of a task.

    Args:
        labels: names, in the order of the network's outputs.
        of_segment: label of every labelled segment.
        fold_of: fold of every segment, {} without folds.
        speaker_of: speaker of every segment, {} if unknown.
    """

    labels: list[str]
    of_segment: dict[str, str]
    fold_of: dict[str, str]
    speaker_of: dict[str, str] = field(default_factory=dict)

    def training(self, held_out: str | None, development: str | None = None) -> dict[str, str]:
        """Return the label of every training segment.

        Args:
            held_out: the fold that is held out, None for none.
            development: the fold that selects the epoch, held out too.

        Raises:
            SertkError: there is no such fold, no other fold, or a label occurs in these two folds only.
        """
        if held_out is None:
            return self.of_segment
        excluded = {held_out, development}
        labels = {key: label for key, label in self.of_segment.items() if self.fold_of[key] not in excluded}
        if held_out not in self.folds():
            raise self.unknown_fold(held_out)
        two = development not in (None, held_out)
        what = f"with the folds {held_out} and {development} held out" if two else f"with fold {held_out} held out"
        if not labels:
            raise SertkError(f"{what} nothing is left to train on")
        lost = set(self.of_segment.values()) - set(labels.values())
        if lost and two:
            raise SertkError(f"{what} no segment of '{min(lost)}' is left")
        return labels

    def of_fold(self, fold: str) -> dict[str, str]:
        """Return the label of every segment of a fold."""
        return {key: label for key, label in self.of_segment.items() if self.fold_of[key] == fold}

    def unknown_fold(self, fold: str | None) -> SertkError:
        """Return the error for a fold that does not exist."""
        return SertkError(f"there is no fold '{fold}' (folds: {' '.join(self.folds())})")

    def index(self, key: str) -> int:
        """Return the index of a segment's label among the network's outputs."""
        return self._number[self.of_segment[key]]

    @cached_property
    def _number(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}

    def folds(self) -> list[str]:
        """Return the folds that have labelled segments: numbers in ascending order, then names."""
        return in_order(self.fold_of[key] for key in self.of_segment if key in self.fold_of)


def labelled(store: Store, labelling: Labelling, labels: dict[str, str], max_skip: float, where: str) -> Store:
    """Select the segments of a store that have one of the given labels; a warning counts labels without a segment.

    Args:
        store: features, draws or vectors.
        labelling: all labels, to report segments that have none.
        labels: label of every segment to select.
        max_skip: largest part of `labels` that may be missing.
        where: name of the store, for messages.

    Raises:
        SertkError: more than `max_skip` of `labels`, or all of them, are missing.
    """
    selected = store.only(labels.__contains__)
    missing = sorted(labels.keys() - set(selected.keys))
    for key in missing[:10]:
        log.warning("skipped %s: labelled, but not in %s", key, where)
    if not len(selected) or len(missing) > max_skip * len(labels):
        raise SertkError(
            f"{where}: {len(missing)} of {len(labels)} labelled segments are not in it, the first is {missing[0]}"
            f" (--max-skip={max_skip:g})"
        )
    if missing:
        log.warning("%d of %d labelled segments are not in %s", len(missing), len(labels), where)
    unlabelled = sum(key not in labelling.of_segment for key in store.keys)
    if unlabelled:
        log.info("%d segments of %s have no label and are left out", unlabelled, where)
    return selected


def labels_of(store: Store, labelling: Labelling) -> dict[str, str]:
    """Return the label of every segment of a store, in its order."""
    return {key: labelling.of_segment[key] for key in store.keys}
