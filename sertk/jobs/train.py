"""A training run from its inputs to final.pt."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sertk import __version__
from sertk.data.store import Store, load_store
from sertk.errors import SertkError
from sertk.jobs.options import TrainingOptions
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest
from sertk.models.modelfile import Model, check_frontend, load_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runs.callbacks import Board, Keeper
from sertk.runs.card import card, trained_on
from sertk.runs.fingerprint import data_marks, machine_marks, order_mark
from sertk.runs.preemption import RUN_AGAIN, Stopped
from sertk.runs.run import Run, restarted_by_this_job, started_with
from sertk.runs.state import ROUNDING
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16
from sertk.training.compile import choose_compile
from sertk.training.distributed import World, join_world
from sertk.training.labelling import Labelling, labelled, labels_of, read_labelling
from sertk.training.loop import Training, seeded
from sertk.training.model_selection import Development, choosing_fold, how_chosen
from sertk.training.settings import TrainingSettings
from sertk.training.targets import Targets, targets_of

log = logging.getLogger("sertk")

# The parts of a network that can be asked for; labels and features decide on the rest.
NETWORK_OPTIONS = ("channels", "blocks", "pooling", "embedding_dim", "activation")


@dataclass(frozen=True)
class Inputs:
    """What a network is trained on.

    Args:
        labelling: labels and folds.
        store: features of the training segments.
        targets: of these segments.
        frontend: settings of the features, {} where unknown (a pipe has no manifest).
        sha256: of the features' table, "" where unknown.
        held_out: the fold that is not trained on.
        choosing: the fold that chooses the epoch (see model_selection).
        development: features of that fold.
    """

    labelling: Labelling
    store: Store
    targets: Targets
    frontend: dict
    sha256: str
    held_out: str | None
    choosing: str | None
    development: Store | None

    def fingerprint(self) -> dict:
        """Fingerprints of the data, plain types."""
        marks = data_marks("data", labels_of(self.store, self.labelling), self.store, self.sha256)
        if self.development:
            labels = labels_of(self.development, self.labelling)
            marks |= data_marks("development", labels, self.development, self.sha256)
        return marks | {"labels": order_mark(self.labelling.labels), "soft_labels": self.targets.mark()}


def train_network(feats: Rspecifier, utt2label: Path, directory: Path, network_options: dict[str, Any],
                  settings: TrainingSettings, options: TrainingOptions, bar: type, stop: Any) -> int:  # fmt: skip
    """Train a network and write DIR/final.pt.

    Args:
        feats: normalised features.
        utt2label: their labels.
        directory: folder of the run.
        network_options: the NetworkSpec's fields that were asked for; None for those that were not.
        settings: how to train.
        options: what to start from, what to hold out, where to compute.
        bar: class that shows progress: bar(epochs, batches)(epoch, batch, record).
        stop: true once the run is to checkpoint and end.

    Returns:
        the exit status: 0, or RUN_AGAIN if `stop` came first.

    Raises:
        SertkError: inputs or options do not fit together, or training failed.
    """
    directory = directory.resolve()  # a link to the folder stays, whatever is moved aside
    world, device = join_world(choose_device(options.device))
    if world.rank:
        log.setLevel(logging.ERROR)  # process 0 speaks for all
    threads = prepare_cpu(options.num_threads)
    initial = load_model(options.init) if options.init else None
    inputs = read_inputs(feats, utt2label, settings, options)
    network = start_network(initial, options.init, inputs.labelling, inputs.store.bins, settings, network_options)
    if initial:
        check_frontend(initial, inputs.frontend, options.init, str(feats))
        inputs = replace(inputs, frontend=inputs.frontend or initial.frontend)
    check_shares(settings, len(inputs.store), world)

    restart = options.restart and not restarted_by_this_job(directory)
    before = {} if restart else started_with(directory)
    settings = resolved(settings, before, len(inputs.store), device, world)
    # With BatchNorm over all processes their number changes the last bits only.
    rounding = ROUNDING | {"processes"} if settings.sync_batchnorm else ROUNDING
    run = Run(directory, run_settings(settings, network, initial, inputs, world, device, threads), rounding)
    # The folder is touched only now, that the inputs are read: a wrong call leaves it as it is.
    with run.lock(restart) if world.rank == 0 else nullcontext():
        # The other processes wait for process 0's answer, and so until an old run is moved aside.
        if float(world.sum(torch.tensor(float(world.rank == 0 and run.finished()), device=device))):
            world.leave()
            return 0
        try:
            fit(run, network, inputs, settings, options, initial, device, world, bar, stop)
        except Stopped as stopped:
            log.info("asked to stop: %s; run the same command again to resume%s", stopped,
                     " (without --restart)" if restart else "")  # fmt: skip
            world.leave()
            return RUN_AGAIN
        world.leave()
    return 0


def read_inputs(feats: Rspecifier, utt2label: Path, settings: TrainingSettings, options: TrainingOptions) -> Inputs:
    """Labels, features and targets of what is trained on, and of the fold that chooses the epoch.

    Raises:
        SertkError: more than --max-skip of the labelled segments have no features, or the folds leave nothing.
    """
    labelling = read_labelling(utt2label, options.utt2fold)
    fold, max_skip = options.fold, options.max_skip
    choosing = choosing_fold(labelling, settings.select, fold)
    manifest, everything = read_manifest(feats), load_store(feats)
    store = labelled(everything, labelling, labelling.training(fold, choosing), max_skip, str(feats))
    development = None
    if choosing:
        wanted = labelling.of_fold(choosing)
        development = labelled(everything.only(wanted.__contains__), labelling, wanted, max_skip, str(feats))
    targets = targets_of(store.keys, labelling, utt2label, options.soft_labels)
    if settings.class_weights == "balanced":
        targets = targets.balanced(len(labelling.labels))
    frontend, sha256 = (manifest.settings, manifest.sha256) if manifest else ({}, "")
    return Inputs(labelling, store, targets, frontend, sha256, fold, choosing, development)


def run_settings(settings: TrainingSettings, network: ResNet, initial: Model | None, inputs: Inputs, world: World,
                 device: torch.device, threads: int) -> dict:  # fmt: skip
    """Everything that the trained weights depend on, in plain types: a rerun must have the same."""
    return {
        **settings.plain(),
        "sertk": __version__,
        **{f"network.{name}": value for name, value in network.spec.plain().items()},
        "init": initial.digest if initial else None,
        **inputs.fingerprint(),
        "processes": world.size,
        **machine_marks(device, threads),
    }


def resolved(
    settings: TrainingSettings, before: dict, num_segments: int, device: torch.device, world: World
) -> TrainingSettings:
    """TrainingSettings with `precision` and `compile` decided: as the run was started, else by hardware and length.

    Args:
        before: the settings that the run was started with, {} for a new one.
    """
    precision = choose_precision(settings.precision, device, before.get("precision"))
    bf16 = world.sum(torch.tensor(float(precision == "bf16"), device=device))  # all processes compute alike
    settings = replace(settings, precision="bf16" if int(bf16) == world.size else "float32")
    steps = settings.epochs * settings.sampler(num_segments).num_batches()
    return replace(settings, compile=choose_compile(settings.compile, before.get("compile"), steps, settings, device))


def fit(run: Run, network: ResNet, inputs: Inputs, settings: TrainingSettings, options: TrainingOptions,
        initial: Model | None, device: torch.device, world: World, bar: type, stop: Any) -> None:  # fmt: skip
    """Train from the run's last checkpoint to the last epoch; process 0 writes the model.

    Raises:
        Stopped: `stop` became true.
    """
    labels = labels_of(inputs.store, inputs.labelling)

    def model(selection: dict) -> Model:
        record = trained_on(labels, inputs.labelling.speaker_of, inputs.held_out, selection, init=initial)
        return Model(network, inputs.labelling.labels, inputs.frontend, card("train-resnet", run.settings, record))

    callbacks, develop = [], None
    if options.keep:
        callbacks.append(Keeper(run.directory, options.keep, lambda epoch: model(how_chosen("last", epoch, None, ()))))
    if options.tensorboard and world.rank == 0:
        callbacks.append(Board(options.tensorboard))
    if inputs.development:
        develop = Development(inputs.development, inputs.labelling, inputs.choosing, device, settings.precision)
    progress = run.resume()
    if len(progress.history) > settings.epochs:
        raise SertkError(
            f"{run.state}: {len(progress.history)} epochs are finished, more than --epochs {settings.epochs}"
            " (--restart true starts a new run and moves this one aside)"
        )
    training = Training(network, inputs.store, inputs.targets, settings, device, world, progress=progress,
                        save=run.checkpoint, develop=develop, callbacks=callbacks)  # fmt: skip
    log_start(training, inputs.labelling, settings)
    warn_of_emulated_bf16(settings.precision, device)
    if world.rank == 0:
        run.write_conf({**vars(settings), **{name: getattr(network.spec, name) for name in NETWORK_OPTIONS}})
    training.run(bar(settings.epochs, training.sampler.num_batches()), stop, 60 * options.checkpoint_every)
    if world.rank == 0:
        _, epoch = training.chosen()
        keys = inputs.development.keys if inputs.development else ()
        run.finish(model(how_chosen(settings.select, epoch, inputs.choosing, keys)), training.progress.history)


def check_shares(settings: TrainingSettings, num_segments: int, world: World) -> None:
    """Refuse batches too small for BatchNorm, which takes its statistics over a process's own chunks, or over all.

    Raises:
        SertkError: naming the smallest batch.
    """
    smallest = settings.sampler(num_segments).smallest_batch()
    if smallest < 2:
        raise SertkError("one segment in one version makes a batch of one chunk: BatchNorm takes two at least")
    least = 1 if settings.sync_batchnorm else 2
    if world.size > 1 and smallest // world.size < least:
        raise SertkError(
            f"--global-batch {settings.batch_size}: a batch of {smallest} chunks shared by {world.size} processes leaves"
            f" one of them less than {least} (--sync-batchnorm true is content with 1)"
        )


def start_network(
    initial: Model | None, path, labelling: Labelling, bins: int, settings: TrainingSettings, wanted: dict
) -> ResNet:
    """A new network, or the one of `initial`: with a new head unless labels and pooling are the same.

    Raises:
        SertkError: where options contradict the initial network, or the features have other bins.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    if "pooling" in given:
        flat = given["pooling"] == "none"
        if flat and len(settings.chunk_frames) > 1:
            raise SertkError("--pooling none takes chunks of one length: give --chunk-frames one number")
        given["frames"] = settings.chunk_frames[0] if flat else 0
    if initial is None:
        spec = NetworkSpec(len(labelling.labels), bins, **given)
        return seeded(lambda: ResNet(spec), settings.seed)
    spec = initial.network.spec
    pooling = {name: given.pop(name) for name in ("pooling", "frames") if name in given}
    for name, value in given.items():
        if getattr(spec, name) != value:
            raise SertkError(f"--{name.replace('_', '-')}: {path} has {getattr(spec, name)}, not {value}")
    if spec.bins != bins:
        raise SertkError(f"{path} takes {spec.bins} bins, the features have {bins}")
    if not pooling and spec.frames and settings.chunk_frames != (spec.frames,):
        raise SertkError(
            f"{path} has no pooling and takes chunks of {spec.frames} frames: give --chunk-frames {spec.frames}"
        )
    wanted_spec = spec.with_new_head(len(labelling.labels), **pooling)
    if initial.labels == labelling.labels and wanted_spec == spec:
        log.info("%s: trunk and head are kept (the labels are the same)", path)
        return initial.network
    log.info("%s: the trunk is kept, the head of %d labels is replaced by one of %d (%s)", path, len(initial.labels),
             len(labelling.labels), " ".join(labelling.labels[:8]))  # fmt: skip
    network = seeded(lambda: ResNet(wanted_spec), settings.seed)
    network.trunk.load_state_dict(initial.network.trunk.state_dict())
    return network


def log_start(training: Training, labelling: Labelling, settings: TrainingSettings) -> None:
    """Log the size of the task and of the network, and where the run resumes."""
    parameters = list(training.network.parameters())
    log.info("%d segments, %d labels, %d chunks an epoch; %.2f M parameters, %.2f M trained; %s on %s, %d threads",
             len(training.store), len(labelling.labels), training.sampler.num_items,
             sum(p.numel() for p in parameters) / 1e6, sum(p.numel() for p in parameters if p.requires_grad) / 1e6,
             settings.precision, training.device, torch.get_num_threads())  # fmt: skip
    progress = training.progress
    if progress.history or progress.batch:
        log.info("resuming after epoch %d, batch %d", len(progress.history), progress.batch)
