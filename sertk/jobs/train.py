"""Training of a network, from tables to a model file."""

import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sertk import __version__
from sertk.errors import SertkError
from sertk.jobs.inputs import Inputs, read_inputs, warn_of_unknown_frontend
from sertk.jobs.options import TrainingOptions
from sertk.jobs.resolve import resolve_form, resolve_precision
from sertk.jobs.start import options_of_network, start_network
from sertk.kaldi.specifiers import Rspecifier
from sertk.models.modelfile import Model
from sertk.models.resnet import ResNet
from sertk.runs.callbacks import KeepModels, TensorBoardWriter
from sertk.runs.card import model_card, training_record
from sertk.runs.fingerprint import machine_fingerprint
from sertk.runs.preemption import RUN_AGAIN
from sertk.runs.run import Run, restarted_by_this_job, stored_settings
from sertk.runs.state import ROUNDING
from sertk.runtime import choose_device, prepare_cpu, warn_of_emulated_bf16
from sertk.training.compile import keep_compiled_code
from sertk.training.distributed import World, join_world
from sertk.training.labelling import Labelling, labels_of
from sertk.training.loop import OnBatch, Training
from sertk.training.model_selection import DevelopmentScorer, selection_record
from sertk.training.progress import Stopped, StopRequested, never
from sertk.training.settings import TrainingSettings

log = logging.getLogger("sertk")

# Function of (epochs, batches per epoch[, name of one of several trainings]) that returns the callback which shows progress.
ProgressBar = Callable[..., OnBatch]


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to start.

    Args:
        run: its folder.
        network: with the weights to start from.
        inputs: data and initial model.
        settings: how to train, nothing left to "auto".
        restart: move an old run aside.
    """

    run: Run
    network: ResNet
    inputs: Inputs
    settings: TrainingSettings
    restart: bool


def train_network(
    feats: Rspecifier,
    utt2label: Path,
    directory: Path,
    network_options: dict[str, Any],
    settings: TrainingSettings,
    options: TrainingOptions,
    bar: ProgressBar,
    stop_requested: StopRequested = never,
) -> int:
    """Train a network and write DIR/final.pt.

    If rerun, it resumes from the last checkpoint.

    Args:
        feats: normalised features.
        utt2label: their labels.
        directory: folder of the run.
        network_options: fields of NetworkSpec; None for those that are not set.
        settings: how to train.
        options: what to start from, what to hold out, where to compute.
        bar: shows the progress.
        stop_requested: checked after every batch.

    Returns:
        the exit status: 0, or RUN_AGAIN if `stop_requested` returned True.

    Raises:
        SertkError: inputs or options do not fit together, or training failed.
    """
    directory = directory.resolve()  # so that --restart moves the folder aside, not a link to it
    world, device = join_world(choose_device(options.device))
    if world.rank:
        log.setLevel(logging.ERROR)  # only process 0 logs
    threads = prepare_cpu(options.num_threads)
    inputs = read_inputs(feats, utt2label, settings, options)
    warn_of_unknown_frontend(inputs.frontend, feats)
    prepared = prepare_run(directory, inputs, network_options, settings, options, world, device, threads)
    # The folder is touched only after all inputs are read: an invalid call leaves it unchanged.
    with prepared.run.lock(prepared.restart) if world.rank == 0 else nullcontext():
        # The sum makes the other processes wait until process 0 has moved an old run aside.
        if float(world.sum(torch.tensor(float(world.rank == 0 and prepared.run.finished()), device=device))):
            world.close()
            return 0
        try:
            for _ in fit(prepared, options, device, world, bar, stop_requested):
                pass
        except Stopped as stopped:
            log_stopped(stopped, prepared.restart)
            world.close()
            return RUN_AGAIN
        world.close()
    return 0


def log_stopped(stopped: Stopped, restart: bool) -> None:
    """Log where a run was stopped, and how to resume it."""
    how = " (without --restart)" if restart else ""
    log.info("asked to stop: %s; run the same command again to resume%s", stopped, how)


def prepare_run(
    directory: Path,
    inputs: Inputs,
    network_options: dict[str, Any],
    settings: TrainingSettings,
    options: TrainingOptions,
    world: World,
    device: torch.device,
    threads: int,
) -> PreparedRun:
    """Create the network and resolve the settings of a run, without touching its folder.

    Raises:
        SertkError: inputs or options do not fit together.
    """
    network = start_network(inputs, options.init, settings, network_options)
    check_shares(settings, len(inputs.store), world)
    restart = options.restart and not restarted_by_this_job(directory)
    before = {} if restart else stored_settings(directory)
    settings = resolve_precision(settings, before, device, world)
    settings = resolve_form(settings, before, network, len(inputs.store), device, world, keep_compiled_code(directory))
    # With BatchNorm over all processes their number changes the last bits only.
    rounding = ROUNDING | {"processes"} if settings.sync_batchnorm else ROUNDING
    fixed = run_settings(settings, network, inputs, world, device, threads)
    if inputs.initial and network_options.get("input_norm"):
        fixed["input_norm"] = "of these segments"
    run = Run(directory, fixed, rounding)
    return PreparedRun(run, network, inputs, settings, restart)


def check_shares(settings: TrainingSettings, num_segments: int, world: World) -> None:
    """Check that every process gets enough chunks of every batch for BatchNorm, whose statistics need two.

    Args:
        settings: batch size, and whether BatchNorm is synchronised: then the statistics are over all processes.
        num_segments: training segments.
        world: the processes that share a batch.

    Raises:
        SertkError: naming the smallest batch.
    """
    smallest = settings.sampler(num_segments).smallest_batch()
    if smallest < 2:
        raise SertkError("one segment in one version makes a batch of one chunk: BatchNorm needs at least two")
    least = 1 if settings.sync_batchnorm else 2
    if world.size > 1 and smallest // world.size < least:
        raise SertkError(
            f"--global-batch {settings.batch_size}: a batch of {smallest} chunks shared by {world.size} processes leaves"
            f" one of them less than {least} (--sync-batchnorm true needs only 1)"
        )


def run_settings(
    settings: TrainingSettings, network: ResNet, inputs: Inputs, world: World, device: torch.device, threads: int
) -> dict:
    """Everything that the trained weights depend on, in plain types: a rerun must have the same."""
    return {
        **settings.fingerprint(),
        "sertk": __version__,
        **{f"network.{name}": value for name, value in network.spec.plain().items()},
        "init": inputs.initial.digest if inputs.initial else None,
        **inputs.fingerprint(),
        "processes": world.size,
        **machine_fingerprint(device, threads),
    }


def fit(
    prepared: PreparedRun,
    options: TrainingOptions,
    device: torch.device,
    world: World,
    bar: ProgressBar,
    stop_requested: StopRequested,
) -> Iterator[None]:
    """Train from the run's last checkpoint to the last epoch, yielding after every step; process 0 writes the model.

    Raises:
        Stopped: `stop_requested` returned True.
        SertkError: the run has more epochs than requested, or training failed.
    """
    run, network, inputs, settings = prepared.run, prepared.network, prepared.inputs, prepared.settings
    labels, labelling = labels_of(inputs.store, inputs.labelling), inputs.labelling
    init = inputs.initial.card.get("trained_on", {}) if inputs.initial else None

    def model(selection: dict) -> Model:
        record = training_record(labels, labelling.speaker_of, inputs.held_out, selection, init=init)
        return Model(network, labelling.labels, inputs.frontend, model_card("train-resnet", run.settings, record))

    def model_of_epoch(epoch: int) -> Model:
        return model(selection_record("last", epoch, None, ()))

    callbacks, scorer = [], None
    if options.keep:
        callbacks.append(KeepModels(run.directory, options.keep, model_of_epoch))
    if options.tensorboard and world.rank == 0:
        callbacks.append(TensorBoardWriter(options.tensorboard))
    if inputs.development:
        fold, precision = inputs.development_fold, settings.precision
        scorer = DevelopmentScorer(inputs.development, labelling, fold, device, precision)
    progress = run.resume()
    if len(progress.history) > settings.epochs:
        raise SertkError(
            f"{run.state}: {len(progress.history)} epochs are finished, more than --epochs {settings.epochs}"
            " (--restart true starts a new run and moves this one aside)"
        )
    training = Training(
        network, inputs.store, inputs.targets, settings, device, world,
        progress=progress, save=run.checkpoint, scorer=scorer, callbacks=callbacks,
    )  # fmt: skip
    log_start(training, labelling, settings)
    warn_of_emulated_bf16(settings.precision, device)
    if world.rank == 0:
        run.write_conf({**settings.plain(), **options_of_network(network.spec)})
    on_batch = bar(settings.epochs, training.sampler.num_batches())
    yield from training.steps(on_batch, stop_requested, checkpoint_every=60 * options.checkpoint_every)
    if world.rank == 0:
        _, epoch = training.selected()
        keys = inputs.development.keys if inputs.development else ()
        selection = selection_record(settings.select, epoch, inputs.development_fold, keys)
        run.finish(model(selection), training.progress.history)


def log_start(training: Training, labelling: Labelling, settings: TrainingSettings) -> None:
    """Log the size of task and network, and where the run resumes."""
    parameters = list(training.network.parameters())
    total = sum(p.numel() for p in parameters) / 1e6
    trained = sum(p.numel() for p in parameters if p.requires_grad) / 1e6
    log.info(
        "%d segments, %d labels, %d chunks an epoch; %.2f M parameters, %.2f M trained; %s on %s, %d threads",
        len(training.store), len(labelling.labels), training.sampler.num_items, total, trained,
        settings.precision, training.device, torch.get_num_threads(),
    )  # fmt: skip
    progress = training.progress
    if progress.history or progress.batch:
        log.info("resuming after epoch %d, batch %d", len(progress.history), progress.batch)
