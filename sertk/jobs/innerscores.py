"""Scores of training segments for the weights of a fusion: each training fold's by a head without it and the test fold."""

import logging
from itertools import combinations

import numpy as np
import torch

from sertk.errors import SertkError
from sertk.jobs.drawtable import DrawTable
from sertk.jobs.gridsearch import TOGETHER, Pair, Trial, keys_of
from sertk.jobs.headrun import HeadRun, predictions
from sertk.jobs.vectortable import VectorTable
from sertk.training.progress import StopRequested
from sertk.training.settings import HeadSettings

log = logging.getLogger("sertk")


def compute_inner_scores(
    chosen: dict[HeadRun, HeadSettings],
    table: DrawTable | VectorTable,
    rows_of: dict[str, np.ndarray],
    device: torch.device,
    stop_requested: StopRequested,
    stacked: bool = False,
) -> None:
    """Give each run the posteriors of its training segments, by heads that have trained neither on these nor on its fold.

    A head without the folds f and g serves both, if both have the same settings.

    Args:
        chosen: settings of each run.
        table: what heads are trained on.
        rows_of: (rows, dim) of whole segments.
        device: where to compute.
        stop_requested: checked before every batch.
        stacked: see train_heads.

    Raises:
        Stopped: `stop_requested` returned True.
        SertkError: a fold has no vectors, or a training diverges.
    """
    groups: dict[tuple[int, HeadSettings], dict[str, HeadRun]] = {}
    for run, settings in chosen.items():
        groups.setdefault((id(run.label_set), settings), {})[run.fold] = run
    for (_, settings), run_of in groups.items():
        label_set = next(iter(run_of.values())).label_set
        keys = {fold: keys_of(label_set, fold) for fold in label_set.labelling.folds()}
        if empty := [fold for fold, of_fold in keys.items() if not of_fold]:
            raise SertkError(f"{label_set.directory}: fold {empty[0]}, which --inner-scores needs, has no vectors")
        predict = {fold: predictions([rows_of[key] for key in of_fold], device) for fold, of_fold in keys.items()}
        trial = Trial(label_set, table, predict, device, stacked)
        pairs: list[Pair] = [pair for pair in combinations(keys, 2) if run_of.keys() & set(pair)]
        for run in run_of.values():
            run.inner = {}
        for first in range(0, len(pairs), TOGETHER):
            heads = [(pair, [settings]) for pair in pairs[first : first + TOGETHER]]
            for (pair, _), predicted in trial.decisions(heads, stop_requested).items():
                if predicted is None:
                    raise SertkError(f"{label_set.directory}: training without the folds {' and '.join(pair)} diverges")
                for fold, inner in (pair, pair[::-1]):
                    if fold in run_of:
                        run_of[fold].inner |= zip(keys[inner], predicted[inner])
        log.info("%s: scores of the training segments by %d heads", label_set.directory, len(pairs))
