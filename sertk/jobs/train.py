"""A training run from its inputs to final.pt."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from sertk import __version__
from sertk.data.store import load_store
from sertk.errors import SertkError
from sertk.kaldi.tables import read_manifest
from sertk.models.modelfile import Model, check_frontend, load_model, save_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runs.callbacks import Board, Keeper
from sertk.runs.card import card, trained_on, write_conf
from sertk.runs.fingerprint import data_marks, machine_marks, order_mark
from sertk.runs.lock import claimed, is_finished, restart_was_done
from sertk.runs.preemption import RUN_AGAIN, Stopped
from sertk.runs.state import begun_settings, read_state
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16
from sertk.training.compile import choose_compile
from sertk.training.distributed import World, join_world
from sertk.training.labelling import Labelling, labelled, labels_of, read_labelling
from sertk.training.loop import Settings, Training, seeded, write_records
from sertk.training.model_selection import Development, choosing_fold, how_chosen
from sertk.training.targets import targets_of

log = logging.getLogger("sertk")

NETWORK_OPTIONS = ("channels", "blocks", "pooling", "embedding_dim", "activation")


def train_network(feats, utt2label: Path, directory: Path, bar, stop, *, init=None, utt2fold=None, fold=None,
                  soft_labels=None, device=None, num_threads=None, restart=False, max_skip=0.05,
                  checkpoint_every=float("inf"), trunk_scale=None, keep=0, tensorboard=None,
                  **options) -> int:  # fmt: skip
    """Train a network and write DIR/final.pt; the exit status is 0, or RUN_AGAIN when `stop` came first.

    Args:
        feats: rspecifier of normalised features.
        utt2label: the labels.
        directory: of the run.
        soft_labels: the raters' votes, where they are learnt instead of the labels.
        bar: class that shows the run: bar(epochs, batches)(epoch, batch, record).
        stop: true once the run is to checkpoint and end.
        options: those of train-resnet.
    """
    directory = directory.resolve()  # a link stays one, whatever is put aside
    device = choose_device(device)
    world, device = join_world(device)
    if world.rank:
        log.setLevel(logging.ERROR)  # process 0 speaks for all
    threads = prepare_cpu(num_threads)
    labelling = read_labelling(utt2label, utt2fold)
    choosing = choosing_fold(labelling, options["select"], fold)
    manifest = read_manifest(feats)
    everything = load_store(feats)
    store = labelled(everything, labelling, labelling.training(fold, choosing), max_skip, str(feats))
    development = None
    if choosing:
        wanted = labelling.of_fold(choosing)
        development = labelled(everything.only(wanted.__contains__), labelling, wanted, max_skip, str(feats))
    network_options = {name: options.pop(name) for name in NETWORK_OPTIONS}
    settings = Settings(**options, trunk_scale=trunk_scale or (0.1 if init else 1.0))
    initial = load_model(init) if init else None
    network = start_network(initial, init, labelling, store.bins, settings, network_options)
    if initial and manifest:
        check_frontend(initial, manifest.settings, init, str(feats))

    targets = targets_of(store.keys, labelling, utt2label, soft_labels)
    if settings.class_weights == "balanced":
        targets = targets.balanced(len(labelling.labels))
    chosen = labels_of(store, labelling)
    frontend = manifest.settings if manifest else (initial.frontend if initial else {})
    sha256 = manifest.sha256 if manifest else ""
    fingerprint = {
        "sertk": __version__,
        **{f"network.{name}": value for name, value in network.spec.plain().items()},
        "init": initial.digest if initial else None,
        **data_marks("data", chosen, store, sha256),
        **(data_marks("development", labels_of(development, labelling), development, sha256) if development else {}),
        "labels": order_mark(labelling.labels),
        "soft_labels": targets.mark(),
        "processes": world.size,
        **machine_marks(device, threads),
    }
    check_shares(settings, len(store), world)
    restart = restart and not restart_was_done(directory)
    begun = {} if restart else begun_settings(directory)
    precision = choose_precision(settings.precision, device, begun.get("precision"))
    settings = replace(settings, precision=agreed_precision(precision, world, device))
    steps = settings.epochs * settings.sampler(len(store)).num_batches()
    settings = replace(
        settings, compile=choose_compile(settings.compile, begun.get("compile"), steps, settings, device)
    )
    shape = {**settings.plain(), **fingerprint}
    # Only now that the inputs are read: a wrong call leaves the folder as it is.
    with claimed(directory, restart) if world.rank == 0 else nullcontext():
        finished = world.rank == 0 and is_finished(directory, shape, settings.machine())
        # The others wait for the answer, and with it until an old run's state is out of the way.
        if float(world.sum(torch.tensor(float(finished), device=device))):
            if world.rank == 0 and (directory / "state.pt").exists():  # a kill may have come before the records
                write_records(directory, read_state(directory / "state.pt")["history"])
            log.info("%s: kept, it is of this call", directory / "final.pt")
            world.leave()
            return 0
        develop = Development(development, labelling, choosing, device, settings.precision) if development else None
        watchers = [Keeper(directory, keep, lambda epoch: model(how_chosen("last", epoch, None, ())))] if keep else []
        watchers += [Board(tensorboard)] if tensorboard and world.rank == 0 else []
        training = Training(network, store, targets, settings, directory, fingerprint, device, world, develop, watchers)

        def model(how: dict) -> Model:
            """The network as it is now, with all that belongs to it."""
            record = trained_on(chosen, labelling.speaker_of, fold, how, init=initial)
            return Model(network, labelling.labels, frontend, card("train-resnet", training.shape, record))

        log_start(training, labelling, threads)
        warn_of_emulated_bf16(settings.precision, device)
        if world.rank == 0:
            spec = {name: getattr(network.spec, name) for name in NETWORK_OPTIONS}
            write_conf(directory / "train.conf", {**settings.__dict__, **spec})
        try:
            training.run(bar(settings.epochs, training.sampler.num_batches()), stop, 60 * checkpoint_every)
        except Stopped as stopped:
            log.info("asked to stop: %s; run the same command again to go on%s", stopped,
                     " (without --restart)" if restart else "")  # fmt: skip
            world.leave()
            return RUN_AGAIN
        if world.rank == 0:
            _, epoch = training.chosen()
            how = how_chosen(settings.select, epoch, choosing, development.keys if development else ())
            write_records(directory, training.state.history)
            save_model(directory / "final.pt", model(how))
            log.info("wrote %s", directory / "final.pt")
        world.leave()
    return 0


def agreed_precision(precision: str, world: World, device: torch.device) -> str:
    """The precision that all processes compute in: bf16 where each of them has chosen it."""
    votes = world.sum(torch.tensor(float(precision == "bf16"), device=device))
    return "bf16" if int(votes) == world.size else "float32"


def check_shares(settings: Settings, num_segments: int, world: World) -> None:
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
    initial: Model | None, path, labelling: Labelling, bins: int, settings: Settings, wanted: dict
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
    fields = {**spec.plain(), **pooling, "num_labels": len(labelling.labels)}
    if initial.labels == labelling.labels and fields == spec.plain():
        log.info("%s: trunk and head are kept (the labels are the same)", path)
        return initial.network
    log.info("%s: the trunk is kept, the head of %d labels is replaced by one of %d (%s)", path, len(initial.labels),
             len(labelling.labels), " ".join(labelling.labels[:8]))  # fmt: skip
    network = seeded(lambda: ResNet(NetworkSpec.from_plain(fields)), settings.seed)
    network.trunk.load_state_dict(initial.network.trunk.state_dict())
    return network


def log_start(training: Training, labelling: Labelling, threads: int) -> None:
    """Say what is going to be trained, on what."""
    settings, trained = training.settings, sum(p.numel() for p in training.network.parameters() if p.requires_grad)
    log.info("%d segments, %d labels, %d chunks an epoch; %.2f M parameters, %.2f M trained; %s on %s, %d threads",
             len(training.store), len(labelling.labels), training.sampler.num_items,
             sum(p.numel() for p in training.network.parameters()) / 1e6, trained / 1e6, settings.precision,
             training.device, threads)  # fmt: skip
    done = len(training.state.history)
    if done or training.state.batch:
        log.info("going on after epoch %d, batch %d", done, training.state.batch)
