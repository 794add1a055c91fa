"""Training of a network for each of several held-out folds in one process."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from sertk.data.store import load_store
from sertk.datadir.foldnames import check_place, chosen_folds, of_fold, several
from sertk.errors import SertkError
from sertk.jobs.inputs import read_inputs, warn_of_unknown_frontend
from sertk.jobs.labels import read_labelling
from sertk.jobs.options import TrainingOptions
from sertk.jobs.train import PreparedRun, ProgressBar, fit, log_stopped, prepare_run, train_network
from sertk.kaldi.specifiers import Rspecifier
from sertk.runs.preemption import RUN_AGAIN
from sertk.runtime import choose_device, prepare_cpu
from sertk.training.distributed import join_world
from sertk.training.progress import Stopped, StopRequested, never
from sertk.training.settings import TrainingSettings
from sertk.training.side_by_side import side_by_side

log = logging.getLogger("sertk")

# Forms of the step with which folds take their steps in turn. A GPU replays graphs of several networks at once; otherwise the
# host starts all kernels, and five folds in turn are slower than one after the other (benchmarks/README.md). Networks compiled
# by torch share the memory of their graphs.
IN_TURN = {"graphs"}


def train_folds(
    feats: Rspecifier,
    utt2label: Path,
    directory: Path,
    network_options: dict[str, Any],
    settings: TrainingSettings,
    options: TrainingOptions,
    bar: ProgressBar,
    stop_requested: StopRequested = never,
) -> int:
    """Train a network for each of the folds that options.fold names, with the same bytes as a call for each.

    The features are read once. If rerun, finished folds are skipped and the others resume from their last checkpoints.

    Args:
        feats: normalised features.
        utt2label: their labels.
        directory: folder of a run; FOLD in it stands for the fold.
        network_options: fields of NetworkSpec; None for those that are not set.
        settings: how to train.
        options: what to start from, what to hold out, where to compute.
        bar: shows the progress.
        stop_requested: checked after every batch.

    Returns:
        the exit status: 0, or RUN_AGAIN if `stop_requested` returned True.

    Raises:
        SertkError: inputs or options do not fit together, or the training of a fold failed, after those of the others.
    """
    wanted = options.fold
    if not several(wanted):
        directory, one = directory_of(directory, wanted), options_of_fold(options, wanted)
        return train_network(feats, utt2label, directory, network_options, settings, one, bar, stop_requested)
    for place in filter(None, (directory, options.tensorboard)):
        check_place(str(place), wanted)
    world, device = join_world(choose_device(options.device))
    if world.size > 1:
        world.close()
        raise SertkError(f"--fold {wanted}: several folds are trained by one process, here are {world.size}")
    threads = prepare_cpu(options.num_threads)
    labelling = read_labelling(utt2label, options.utt2fold)
    folds = chosen_folds(wanted, labelling.folds(), options.utt2fold)
    everything, runs = load_store(feats), {}
    for fold in folds:
        of_it = options_of_fold(options, fold)
        inputs = read_inputs(feats, utt2label, settings, of_it, everything, labelling)
        folder = directory_of(directory, fold).resolve()
        runs[fold] = prepare_run(folder, inputs, network_options, settings, of_it, world, device, threads)
    warn_of_unknown_frontend(inputs.frontend, feats)
    # The folders are touched only after all inputs are read: an invalid call leaves them unchanged.
    with ExitStack() as locks:
        for prepared in runs.values():
            locks.enter_context(prepared.run.lock(prepared.restart))
        runs = {fold: prepared for fold, prepared in runs.items() if not prepared.run.finished()}

        def start(fold: str) -> Iterator[None]:
            log.info("fold %s: %s", fold, runs[fold].run)
            return fit(runs[fold], options_of_fold(options, fold), device, world, named(bar, fold), stop_requested)

        one_by_one = not IN_TURN.issuperset(prepared.settings.compile for prepared in runs.values())
        ended = side_by_side({fold: start(fold) for fold in runs}, device, one_by_one)
    return exit_status(ended, runs)


def directory_of(directory: Path, fold: str) -> Path:
    """The folder of a fold's run."""
    return Path(of_fold(str(directory), fold))


def options_of_fold(options: TrainingOptions, fold: str) -> TrainingOptions:
    """The options of a call for this fold alone."""
    tensorboard = options.tensorboard and directory_of(options.tensorboard, fold)
    return replace(options, fold=fold, tensorboard=tensorboard)


def named(bar: ProgressBar, fold: str) -> Callable:
    """`bar` with the fold's name in its lines."""
    return lambda epochs, batches: bar(epochs, batches, f"fold {fold}")


def exit_status(ended: dict[str, Exception], runs: dict[str, PreparedRun]) -> int:
    """0, or RUN_AGAIN if trainings were stopped.

    Args:
        ended: by fold, why its training ended early.
        runs: by fold.

    Raises:
        SertkError: trainings failed; the message has the reason for each.
    """
    failed = [f"fold {fold}: {error}" for fold, error in ended.items() if not isinstance(error, Stopped)]
    for fold, stopped in ended.items():
        if isinstance(stopped, Stopped):
            log_stopped(Stopped(f"fold {fold}, {stopped}"), runs[fold].restart)
    if failed:
        raise SertkError("; ".join(failed))
    return RUN_AGAIN if ended else 0
