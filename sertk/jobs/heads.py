"""Transfer learning from one model to all folds of several label sets, from tables to model files."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sertk import __version__
from sertk.atomic import remove
from sertk.data.store import RESIDENT_BYTES, Store
from sertk.errors import SertkError
from sertk.jobs.drawtable import DrawTable, open_draws
from sertk.jobs.gridsearch import choose_settings
from sertk.jobs.headrun import HeadRun, LabelSet, decisions, indices
from sertk.jobs.innerscores import compute_inner_scores
from sertk.jobs.labels import read_labelling, read_targets
from sertk.jobs.options import HeadOptions
from sertk.jobs.vectortable import NO_MODEL, VectorTable, open_vectors
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest
from sertk.models.resnet import Head
from sertk.runs.fingerprint import data_fingerprint, machine_fingerprint
from sertk.runs.preemption import RUN_AGAIN
from sertk.runtime import choose_device, prepare_cpu
from sertk.training.head import HeadTraining
from sertk.training.heads import train_heads
from sertk.training.labelling import labelled, labels_of
from sertk.training.model_selection import development_fold, development_scores
from sertk.training.progress import Stopped, StopRequested, never
from sertk.training.settings import HeadSettings

log = logging.getLogger("sertk")

# UTT2LABEL UTT2FOLD DIR of a label set.
LabelSetPaths = tuple[Path, Path, Path]
# Function of a head that returns its scores on the development fold.
Scorer = Callable[[Head], dict[str, float]]


def train_all_heads(
    model_path: Path,
    draws: Rspecifier,
    label_sets: Sequence[LabelSetPaths],
    settings: HeadSettings,
    options: HeadOptions,
    stop_requested: StopRequested = never,
) -> int:
    """Train a head for each fold of each label set, and write DIR/FOLD/{final.pt,train.jsonl,train.conf}.

    If rerun, it skips finished heads and resumes the others.

    Args:
        model_path: the model whose trunk is frozen; "none": heads on the vectors alone.
        draws: the trunk's training draws, or vectors.
        label_sets: labels, folds and output folder of each label set.
        settings: how to train; `versions` is replaced by that of the draws.
        options: what to hold out, what selects the epoch, where to compute.
        stop_requested: checked before every batch.

    Returns:
        the exit status: 0, or RUN_AGAIN if `stop_requested` returned True.

    Raises:
        SertkError: the draws were computed by another model, or are too few for the epochs.
    """
    device, threads = choose_device(options.device), prepare_cpu(options.num_threads)
    if str(model_path) == NO_MODEL:
        table = open_vectors(draws, settings.layer_weights, options.trained_on)
    else:
        table = open_draws(model_path, draws, options.aux, options.pooling)
    settings, grid = replace(settings, versions=table.versions), options.grid
    stacked = options.stacked(device.type)
    longest = max(grid.points(settings), key=lambda point: point.epochs) if grid else settings
    tasks = [read_label_set(paths, table, longest, options) for paths in label_sets]
    shared = run_settings(table, settings, options, device, threads)
    runs = [run for task in tasks for run in plan_runs(task, settings, options, shared)]
    runs = [run for run in runs if not run.finished()]
    rows_of = read_whole(runs, table, options)
    scorers = make_scorers(runs, rows_of, device)
    with ExitStack() as locks:
        for run in runs:
            locks.enter_context(run.lock())
        try:
            chosen = dict.fromkeys(runs, settings)
            if grid:
                search = (grid, settings, options.grid_criterion)
                chosen = choose_settings(runs, table, rows_of, *search, device, stop_requested, stacked)
            for run in runs:
                start(run, table, chosen[run], device, scorers.get(run))
            train_side_by_side(runs, table.store, device, stop_requested, stacked)
            if options.inner_scores:
                compute_inner_scores(chosen, table, rows_of, device, stop_requested, stacked)
        except Stopped as stopped:
            log.info("asked to stop: %s; run the same command again to resume", stopped)
            return RUN_AGAIN
        # A kill between two folds leaves no old heads beside new ones; a rerun writes the missing ones.
        for run in runs:
            remove(run.final)
        for run in runs:
            run.write_model(table)
    return 0


def start(
    run: HeadRun,
    table: DrawTable | VectorTable,
    settings: HeadSettings,
    device: torch.device,
    scorer: Scorer | None,
) -> None:
    """Create the training of a run, or resume it."""
    label_set = run.label_set
    spec = table.head_spec(len(label_set.labelling.labels), settings)
    standardise = label_set.standardisation(run.fold, run.development_fold)
    data = (run.members, label_set.targets)
    run.start(HeadTraining(spec, *data, settings, device, scorer, standardise, table.map_frames))


def read_label_set(
    paths: LabelSetPaths, table: DrawTable | VectorTable, settings: HeadSettings, options: HeadOptions
) -> LabelSet:
    """Read labels and folds, and select the draws and targets of their segments.

    Raises:
        SertkError: more than --max-skip of the labelled segments have no draws, or the draws do not fit model or settings.
    """
    utt2label, utt2fold, directory = paths
    labelling = read_labelling(utt2label, utt2fold)
    if options.inner_scores and len(labelling.folds()) < 3:
        raise SertkError(f"{utt2fold}: --inner-scores holds out a second fold: it takes at least three folds")
    labels = labelling.of_segment
    for part, source in table.stores():
        store = labelled(part, labelling, labels, options.max_skip, str(source))
        labels = labels_of(store, labelling)
    table.check(settings, store)
    targets = read_targets(store.keys, labelling, utt2label, options.soft_labels)
    labels_and_folds = {key: f"{labelling.of_segment[key]} {labelling.fold_of[key]}" for key in store.keys}
    fingerprint = {
        "labels": labelling.labels,
        "soft_labels": targets.fingerprint(),
        **data_fingerprint("data", labels_and_folds, store, table.sha256),
    }
    return LabelSet(directory, labelling, store, targets, fingerprint, table.moments(store, labelling))


def run_settings(
    table: DrawTable | VectorTable, settings: HeadSettings, options: HeadOptions, device: torch.device, threads: int
) -> dict:
    """Everything but the label set that the trained weights depend on, in plain types: a rerun must have the same."""
    manifest = read_manifest(options.eval_vectors) if options.eval_vectors else None
    chosen = {**options.grid.plain(), "grid_criterion": options.grid_criterion} if options.grid else {}
    return {
        "sertk": __version__,
        **settings.fingerprint(),
        **chosen,
        **({"inner_scores": True} if options.inner_scores else {}),
        **({"pooling": options.pooling} if options.pooling != "none" else {}),
        **table.fingerprint(),
        **machine_fingerprint(device, threads),
        "eval_vectors": manifest.sha256 if manifest else None,
        **({"stacked": True} if options.stacked(device.type) else {}),
    }


def plan_runs(label_set: LabelSet, settings: HeadSettings, options: HeadOptions, shared: dict) -> list[HeadRun]:
    """A run for each fold of a label set.

    Args:
        label_set: labels and folds.
        settings: how to train.
        options: which folds to hold out.
        shared: settings that all runs have, see run_settings.

    Raises:
        SertkError: there is no such fold, or the others leave nothing to train on.
    """
    labelling, runs = label_set.labelling, []
    for fold in options.folds or labelling.folds():
        development = development_fold(labelling, settings.select, fold)
        members = indices(label_set.store, labelling.training(fold, development))
        runs.append(HeadRun(label_set, fold, development, members, shared))
    return runs


def read_whole(runs: list[HeadRun], table: DrawTable | VectorTable, options: HeadOptions) -> dict[str, np.ndarray]:
    """Read the vectors of whole segments that runs are scored on, {} if none is; once for all: it may be a pipe.

    Returns:
        (rows, dim) of each segment.
    """
    if not (options.grid or options.inner_scores) and not any(run.development_fold for run in runs):
        return {}
    keys = list(dict.fromkeys(key for run in runs for key in run.label_set.store.keys))
    return table.whole(options.eval_vectors, keys)


def make_scorers(runs: list[HeadRun], rows_of: dict[str, np.ndarray], device: torch.device) -> dict[HeadRun, Scorer]:
    """The scorer of each run that selects its epoch by a fold.

    Raises:
        SertkError: a development fold has no draws.
    """
    scorers = {}
    for run in runs:
        if not run.development_fold:
            continue
        label_set, labelling = run.label_set, run.label_set.labelling
        members = indices(label_set.store, labelling.of_fold(run.development_fold))
        if not len(members):
            raise SertkError(f"{run}: fold {run.development_fold}, which --select needs, has no draws")
        rows = [rows_of[label_set.store.keys[index]] for index in members]
        decide = decisions(rows, device)
        truth, num_labels = label_set.targets.labels[members].tolist(), len(labelling.labels)
        scorers[run] = partial(score_head, decide, truth, num_labels)
    return scorers


def score_head(decide: Callable[[Head], list[int]], truth: list[int], num_labels: int, head: Head) -> dict[str, float]:
    """The scores of a head on whole segments (see development_scores)."""
    return development_scores(truth, decide(head), num_labels)


def train_side_by_side(
    runs: list[HeadRun],
    store: Store,
    device: torch.device,
    stop_requested: StopRequested = never,
    stacked: bool = False,
) -> None:
    """Train all heads to their last epoch; each is checkpointed after every epoch.

    Args:
        runs: started (see HeadRun.start).
        store: the draws of all segments.
        device: where to compute.
        stop_requested: checked before every batch.
        stacked: see train_heads.

    Raises:
        Stopped: `stop_requested` returned True.
    """
    needed = {key for run in runs for key in run.label_set.store.keys}
    union = store.only(needed.__contains__)
    index_of = {key: index for index, key in enumerate(union.keys)}
    log_start(runs, union)
    store_indices = {run: np.array([index_of[key] for key in run.label_set.store.keys]) for run in runs}
    trainings = {run: run.training for run in runs}
    trained = train_heads(trainings, store_indices, union, device, stop_requested, stacked=stacked)
    for epoch, run, record in trained:
        run.save()
        scores = f", UA of whole segments {100 * record['dev_ua']:.1f}" if "dev_ua" in record else ""
        loss, accuracy, epochs = record["loss"], 100 * record["accuracy"], run.training.settings.epochs
        log.info(
            "%s, epoch %d of %d: loss %.3f, accuracy %.1f %%%s", run.directory, epoch, epochs, loss, accuracy, scores
        )


def log_start(runs: list[HeadRun], store: Store, resident_bytes: int = RESIDENT_BYTES) -> None:
    """Log segments, labels and folds of every label set, and the size of the draws."""
    folds_of: dict[Path, list[HeadRun]] = {}
    for run in runs:
        folds_of.setdefault(run.label_set.directory, []).append(run)
    for directory, of_set in folds_of.items():
        num_segments, labels = len(of_set[0].label_set.store), " ".join(of_set[0].label_set.labelling.labels)
        folds = " ".join(run.fold for run in of_set)
        log.info("%s: %d segments, labels %s; heads for the folds %s", directory, num_segments, labels, folds)
    if runs:
        gigabytes = 4e-9 * store.bins * int(store.num_frames.sum())
        epoch = 4e-9 * store.bins * runs[0].training.settings.versions * len(store)
        where = "held in memory" if epoch <= resident_bytes / 1e9 else "read batch by batch"
        log.info("draws of %.3g GB in 32 bits, %.3g GB an epoch: %s", gigabytes, epoch, where)
