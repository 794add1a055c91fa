"""Which segments a network is trained on, and which label each has."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sertk.data.store import Store
from sertk.datadir.lists import read_list
from sertk.datadir.speakers import read_speakers
from sertk.errors import SertkError
from sertk.scoring.folds import read_labels

log = logging.getLogger("sertk")


@dataclass(frozen=True)
class Labelling:
    """The labels of a task.

    Args:
        labels: their names, in the order of the network's outputs.
        of_segment: the label of every segment that has one.
        fold_of: the fold of every segment, {} without folds.
        speaker_of: the speaker of every segment that has one, {} where nobody says who speaks.
    """

    labels: list[str]
    of_segment: dict[str, str]
    fold_of: dict[str, str]
    speaker_of: dict[str, str] = field(default_factory=dict)

    def training(self, fold: str | None, choosing: str | None = None) -> dict[str, str]:
        """Segment -> label of what is trained on.

        Args:
            fold: held out; None: nothing is.
            choosing: the fold that chooses the epoch, held out too.

        Raises:
            SertkError: where there is no such fold, or nothing else, or a label is in these two folds only.
        """
        if fold is None:
            return self.of_segment
        apart = {fold, choosing}
        kept = {key: label for key, label in self.of_segment.items() if self.fold_of[key] not in apart}
        if fold not in self.folds():
            raise self.no_such_fold(fold)
        two = choosing not in (None, fold)
        without = f"with the folds {fold} and {choosing} held out" if two else f"with fold {fold} held out"
        if not kept:
            raise SertkError(f"{without} nothing is left to train on")
        lost = set(self.of_segment.values()) - set(kept.values())
        if lost and two:
            raise SertkError(f"{without} no segment of '{min(lost)}' is left")
        return kept

    def of_fold(self, fold: str) -> dict[str, str]:
        """Segment -> label of a fold's segments."""
        return {key: label for key, label in self.of_segment.items() if self.fold_of[key] == fold}

    def no_such_fold(self, fold: str) -> SertkError:
        return SertkError(f"there is no fold '{fold}' (folds: {' '.join(self.folds())})")

    def index(self, key: str) -> int:
        """The output that belongs to a segment."""
        return self._number[self.of_segment[key]]

    @cached_property
    def _number(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}

    def folds(self) -> list[str]:
        """Names of the folds that have labelled segments: numbers in their order, else as text."""
        names = {self.fold_of[key] for key in self.of_segment if key in self.fold_of}
        return sorted(names, key=lambda name: (int(name) if name.isdigit() else float("inf"), name))


def read_labelling(utt2label: Path, utt2fold: Path | None = None) -> Labelling:
    """The labels in `utt2label`, in the order of the labels.txt beside it, or sorted where there is none.

    The speakers are those of a utt2spk beside `utt2label` or `utt2fold`.

    Raises:
        SertkError: for what the files lack, a label that labels.txt has twice, a fold that is no folder's name.
    """
    of_segment = read_list(utt2label)
    found = set(of_segment.values())
    listed = utt2label.with_name("labels.txt")
    labels = list(read_labels(listed)) if listed.exists() else sorted(found)
    unknown = sorted(found - set(labels))
    if unknown:
        raise SertkError(f"{utt2label}: label {unknown[0]} is not in {listed}")
    fold_of = read_list(utt2fold) if utt2fold else {}
    if utt2fold:
        without = next((key for key in of_segment if key not in fold_of), None)
        if without:
            raise SertkError(f"{utt2fold}: {without} of {utt2label} has no fold")
        # A fold's model lies in the folder of its name.
        wrong = next((key for key, fold in fold_of.items() if fold in ("", ".", "..") or "/" in fold), None)
        if wrong:
            raise SertkError(f"{utt2fold}: {wrong}: fold '{fold_of[wrong]}' cannot be the name of a folder")
    if len(labels) < 2:
        raise SertkError(f"{utt2label}: all segments are labelled {labels[0]}: there is nothing to tell apart")
    return Labelling(labels, of_segment, fold_of, speakers_beside(utt2label, utt2fold))


def labelled(store: Store, labelling: Labelling, chosen: dict[str, str], max_skip: float, where: str) -> Store:
    """The segments of `store` that are `chosen`; those of them that have no features are warned of and counted.

    Raises:
        SertkError: where more than `max_skip` of the chosen have no features.
    """
    kept = store.only(chosen.__contains__)
    missing = sorted(chosen.keys() - set(kept.keys))
    for key in missing[:10]:
        log.warning("skipped %s: labelled, but not in %s", key, where)
    if missing:
        log.warning("%d of %d labelled segments have no features", len(missing), len(chosen))
    if not len(kept) or len(missing) > max_skip * len(chosen):
        raise SertkError(
            f"{where}: {len(missing)} of {len(chosen)} labelled segments are not in it, the first is {missing[0]}"
            f" (--max-skip={max_skip:g})"
        )
    unlabelled = sum(key not in labelling.of_segment for key in store.keys)
    if unlabelled:
        log.info("%d segments of %s have no label and are left out", unlabelled, where)
    return kept


def labels_of(store: Store, labelling: Labelling) -> dict[str, str]:
    """The label of every segment of a store, in its order."""
    return {key: labelling.of_segment[key] for key in store.keys}


def speakers_beside(utt2label: Path, utt2fold: Path | None = None) -> dict[str, str]:
    """The labels where they are speakers (a utt2spk), else the utt2spk beside the labels or the folds; {} without one."""
    if utt2label.name.split(".")[0] == "utt2spk":
        return read_speakers(utt2label)
    beside = [path.with_name("utt2spk") for path in (utt2label, utt2fold) if path]
    return next((found for path in beside if (found := read_speakers(path))), {})
