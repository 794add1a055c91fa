"""The transfer of one model to all folds, from tables to model files."""

import logging
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sertk import __version__
from sertk.data.store import RESIDENT_BYTES, Store, load_store
from sertk.errors import SertkError
from sertk.jobs.headrun import HeadRun, LabelSet
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import Model, load_model
from sertk.models.resnet import Head, NetworkSpec
from sertk.runs.fingerprint import data_marks, machine_marks
from sertk.runs.preemption import RUN_AGAIN, Stopped
from sertk.runtime import choose_device, prepare_cpu
from sertk.training.head import HeadTraining, train_heads
from sertk.training.labelling import labelled, read_labelling
from sertk.training.model_selection import choosing_fold, figures
from sertk.training.settings import HeadSettings
from sertk.training.targets import targets_of

log = logging.getLogger("sertk")


def train_all_heads(model_path: Path, draws: Rspecifier, sets: list[tuple[Path, Path, Path]], folds: list[str] | None,
                    stop=False, *, eval_vectors: Rspecifier | None = None, soft_labels: Path | None = None, device=None,
                    num_threads=None, max_skip=0.05, **options) -> int:  # fmt: skip
    """Train a head for each of `folds` (None: all) of each label set and write DIR/FOLD/{final.pt,train.jsonl,train.conf}.

    If rerun, it skips finished heads and resumes the others.

    Args:
        sets: (UTT2LABEL, UTT2FOLD, DIR) of each label set.
        stop: when it becomes true, the run ends, and the exit status is RUN_AGAIN; else it is 0.
        eval_vectors: the pooled vectors of whole segments, where they choose the epoch.
        soft_labels: the raters' votes, where they are learnt instead of the labels.

    Raises:
        SertkError: where the draws were made by another model, or are too few for the epochs.
    """
    device, threads = choose_device(device), prepare_cpu(num_threads)
    model, manifest = load_model(model_path), read_manifest(draws)
    made, sha256 = (manifest.settings, manifest.sha256) if manifest else ({}, "")
    settings = HeadSettings(**options, versions=versions_of(made))
    # Nothing is held that an epoch does not need: the draws of all epochs can be larger than any memory.
    table, tasks = load_store(draws, resident_bytes=0), []
    for utt2label, utt2fold, directory in sets:
        labelling = read_labelling(utt2label, utt2fold)
        store = labelled(table, labelling, labelling.of_segment, max_skip, str(draws))
        check_draws(model, model_path, made, head_spec(model, made, len(labelling.labels)), settings, draws, store)
        targets = targets_of(store.keys, labelling, utt2label, soft_labels)
        said = {key: f"{labelling.of_segment[key]} {labelling.fold_of[key]}" for key in store.keys}
        marks = {"labels": labelling.labels, "soft_labels": targets.mark(), **data_marks("data", said, store, sha256)}
        tasks.append(LabelSet(directory, labelling, store, targets, marks))
    how = {
        "sertk": __version__, **vars(settings), "init": model.digest, "draws": made, **machine_marks(device, threads),
        "eval_vectors": read_manifest(eval_vectors).sha256 if eval_vectors and read_manifest(eval_vectors) else None,
    }  # fmt: skip
    runs = []
    for task in tasks:
        for fold in folds or task.labelling.folds():
            choosing = choosing_fold(task.labelling, settings.select, fold)
            members = indices(task.store, task.labelling.training(fold, choosing))
            runs.append(HeadRun(task, fold, choosing, members, how))
    runs = [run for run in runs if not run.finished()]
    whole = {}
    if any(run.choosing for run in runs):  # read once: it may be a pipe
        keys = list(dict.fromkeys(key for run in runs for key in run.task.store.keys))
        spec = head_spec(model, made, len(runs[0].task.labelling.labels))
        whole = dict(zip(keys, read_vectors(eval_vectors, model, model_path, spec, keys).to(device)))
    with ExitStack() as held:
        for run in runs:
            held.enter_context(run.lock())
            task, spec, develop = run.task, head_spec(model, made, len(run.task.labelling.labels)), None
            if run.choosing:
                look = indices(task.store, task.labelling.of_fold(run.choosing))
                if not len(look):
                    raise SertkError(f"{draws}: has no draws of fold {run.choosing}, which is to choose the epoch")
                vectors = torch.stack([whole[task.store.keys[index]] for index in look])
                develop = look_at(vectors, task.targets.labels[look], spec)
            run.start(HeadTraining(spec, run.members, task.targets, settings, device, develop))
        try:
            train_side_by_side(runs, table, device, stop)
        except Stopped as stopped:
            log.info("asked to stop: %s; run the same command again to resume", stopped)
            return RUN_AGAIN
        for run in runs:
            run.write_model(model)
    return 0


def train_side_by_side(runs: list[HeadRun], table: Store, device: torch.device, stop) -> None:
    """Train all heads to their last epoch; every epoch's draws are read once, every head is checkpointed after it.

    Raises:
        Stopped: when `stop` became true.
    """
    wanted = {key for run in runs for key in run.task.store.keys}
    union = table.only(wanted.__contains__)
    number = {key: index for index, key in enumerate(union.keys)}
    for task in dict.fromkeys(run.task.directory for run in runs):
        folds = [run for run in runs if run.task.directory == task]
        log.info("%s: %d segments, labels %s; heads for the folds %s", task, len(folds[0].task.store),
                 " ".join(folds[0].task.labelling.labels), " ".join(run.fold for run in folds))  # fmt: skip
    if runs:
        log.info("%s", amount(union, runs[0].training.settings.versions))
    places = {run: np.array([number[key] for key in run.task.store.keys]) for run in runs}
    trainings = {run: run.training for run in runs}
    for epoch, run, record in train_heads(trainings, places, union, device, stop):
        run.save()
        looked = f", UA of whole segments {100 * record['dev_ua']:.1f}" if "dev_ua" in record else ""
        log.info("%s, epoch %d of %d: loss %.3f, accuracy %.1f %%%s", run.directory, epoch,
                 run.training.settings.epochs, record["loss"], 100 * record["accuracy"], looked)  # fmt: skip


def amount(store: Store, versions: int, resident_bytes: int = RESIDENT_BYTES) -> str:
    """What the draws take, and how they will be read, for people."""
    row, rows = 4e-9 * store.bins, int(store.num_frames.sum())
    epoch = row * versions * len(store)
    how = "held in memory" if epoch <= resident_bytes / 1e9 else "read batch by batch"
    return f"draws of {rows * row:.3g} GB in 32 bits, {epoch:.3g} GB an epoch: {how}"


def settings_of(draws: Rspecifier) -> dict:
    """How the draws were made, {} where that is unknown (a pipe has no manifest)."""
    manifest = read_manifest(draws)
    return manifest.settings if manifest else {}


def versions_of(made: dict) -> int:
    """How many versions of a segment an epoch of draws holds."""
    return len(made.get("augment", ("none", "conservative", "aggressive")))


def head_spec(model: Model, made: dict, num_labels: int) -> NetworkSpec:
    """The network that a head on draws `made` so becomes: on maps (embed-segments --at map) it is one without pooling."""
    flat = {"pooling": "none", "frames": made["chunk_frames"][0]} if made.get("at") == "map" else {}
    return model.network.spec.with_new_head(num_labels, **flat)


def check_draws(model: Model, model_path: Path, made: dict, spec: NetworkSpec, settings: HeadSettings,
                draws: Rspecifier, store: Store) -> None:  # fmt: skip
    """Refuse draws that do not fit the model, or are too few.

    Raises:
        SertkError: saying what they lack.
    """
    if made.get("model", model.digest) != model.digest:
        raise SertkError(f"{draws}: these draws were made by another model than {model_path}")
    if made.get("at", "pool") not in ("pool", "map") or store.bins != spec.pooled_dim:
        raise SertkError(
            f"{draws}: rows of {store.bins} numbers, the pooling of {model_path} gives {spec.pooled_dim}"
            " (embed-segments --draws N)"
        )
    wanted = settings.epochs * settings.versions
    short = np.flatnonzero(store.num_frames < wanted)
    if len(short):
        raise SertkError(
            f"{draws}: {store.keys[short[0]]} has {store.num_frames[short[0]]} rows, {settings.epochs} epochs of"
            f" {settings.versions} versions take {wanted} (embed-segments --draws {settings.epochs})"
        )


def read_vectors(source: Rspecifier, model: Model, model_path: Path, spec: NetworkSpec, keys: list[str]) -> Tensor:
    """The vectors of whole segments, as the head is given them when it predicts. Shape: (keys, dim).

    Raises:
        SertkError: where they were made by another model, or a segment has none.
    """
    if spec.frames and not model.network.spec.frames:
        raise SertkError(f"{source}: a head without pooling takes maps, not vectors of whole segments: --select last")
    made = settings_of(source)
    if made.get("model", model.digest) != model.digest:
        raise SertkError(f"{source}: these vectors were made by another model than {model_path}")
    found = dict.fromkeys(keys)
    for key, vector in read_table(source, kind="vector"):
        if key in found:
            if len(vector) != spec.pooled_dim or made.get("at", "pool") != "pool":
                raise SertkError(f"{source}: {key}: {len(vector)} numbers, the pooling of {model_path} gives"
                                 f" {spec.pooled_dim} (embed-segments --at pool)")  # fmt: skip
            found[key] = vector
    missing = [key for key, vector in found.items() if vector is None]
    if missing:
        raise SertkError(f"{source}: {len(missing)} of {len(keys)} segments are not in it, the first is {missing[0]}")
    return torch.from_numpy(np.stack(list(found.values())))


def look_at(vectors: Tensor, truth: Tensor, spec: NetworkSpec):
    """The function that gives the figures of a head on these vectors (segments, dim) of whole segments."""

    def develop(head: Head) -> dict[str, float]:
        head.eval()
        with torch.no_grad():
            guess = head(vectors).argmax(dim=1)
        head.train()
        return figures(truth.tolist(), guess.tolist(), spec.num_labels)

    return develop


def indices(store: Store, chosen: dict[str, str]) -> np.ndarray:
    """Which segments of the store are `chosen`."""
    return np.array([index for index, key in enumerate(store.keys) if key in chosen])
