"""Labels, folds, speakers and rater votes of a task, read from a data folder's text maps."""

import logging
from pathlib import Path

import numpy as np
import torch

from sertk.datadir.lists import read_list
from sertk.datadir.speakers import read_speakers
from sertk.datadir.votes import read_votes, vote_shares
from sertk.errors import SertkError
from sertk.scoring.foldfiles import read_labels, read_scheme
from sertk.training.labelling import Labelling
from sertk.training.targets import Targets

log = logging.getLogger("sertk")


def read_labelling(utt2label: Path, utt2fold: Path | None = None) -> Labelling:
    """Read the labels and folds of a task.

    Args:
        utt2label: the labels; their order is that of the labels.txt beside it, else sorted. Speakers are those of the
            utt2spk beside it or beside `utt2fold`.
        utt2fold: the folds.

    Raises:
        SertkError: labels.txt lacks a label or has one twice, a segment has no fold, a fold's name cannot be a folder's, or
            there is only one label.
    """
    of_segment = read_list(utt2label)
    present = set(of_segment.values())
    labels_txt = utt2label.with_name("labels.txt")
    labels = list(read_labels(labels_txt)) if labels_txt.exists() else sorted(present)
    unknown = sorted(present - set(labels))
    if unknown:
        raise SertkError(f"{utt2label}: label {unknown[0]} is not in {labels_txt}")
    if absent := [label for label in labels if label not in present]:
        log.warning("%s: no segment of %s is labelled %s", labels_txt, utt2label, ", ".join(absent))
    fold_of = read_list(utt2fold) if utt2fold else {}
    if utt2fold:
        without = next((key for key in of_segment if key not in fold_of), None)
        if without:
            raise SertkError(f"{utt2fold}: {without} of {utt2label} has no fold")
        # A fold's model is written to the folder of its name.
        wrong = next((key for key, fold in fold_of.items() if fold in ("", ".", "..") or "/" in fold), None)
        if wrong:
            raise SertkError(f"{utt2fold}: {wrong}: fold '{fold_of[wrong]}' cannot be the name of a folder")
    if len(labels) < 2:
        raise SertkError(f"{utt2label}: all segments are labelled {labels[0]}: there is nothing to tell apart")
    return Labelling(labels, of_segment, fold_of, read_speakers_beside(utt2label, utt2fold))


def read_speakers_beside(utt2label: Path, utt2fold: Path | None = None) -> dict[str, str]:
    """Read the speaker of every segment: `utt2label` if that is a utt2spk, else the utt2spk beside either file.

    Returns:
        {} if the speakers are unknown.
    """
    if utt2label.name.split(".")[0] == "utt2spk":
        return read_speakers(utt2label)
    maps = [read_speakers(path.with_name("utt2spk")) for path in (utt2label, utt2fold) if path]
    return next(filter(None, maps), {})


def read_targets(keys: list[str], labelling: Labelling, utt2label: Path, votes: Path | None = None) -> Targets:
    """Training targets of segments: their labels, or each label's share of the raters' votes.

    Args:
        keys: the segments.
        labelling: their labels.
        utt2label: file of the labels; the label map in the scheme.json beside it is applied to the votes.
        votes: a utt2votes, None for hard labels. Votes for labels outside the task are left out, and a segment without any
            vote keeps its label.

    Raises:
        SertkError: no segment has a vote.
    """
    labels = torch.tensor([labelling.index(key) for key in keys])
    if votes is None:
        return Targets(labels)
    votes_of, label_map = read_votes(votes), read_scheme(utt2label).get("label_map")
    shares = [vote_shares(votes_of.get(key, []), labelling.labels, label_map) for key in keys]
    without, names = sum(share is None for share in shares), " ".join(labelling.labels)
    if without == len(keys):
        raise SertkError(f"{votes}: none of {len(keys)} segments has a vote for {names}")
    log.info("%s: %d of %d segments have no vote for %s and keep their label", votes, without, len(keys), names)
    hard = np.eye(len(labelling.labels))[labels.numpy()]
    filled = [label if share is None else share for share, label in zip(shares, hard)]
    return Targets(labels, torch.from_numpy(np.array(filled, dtype=np.float32)))
