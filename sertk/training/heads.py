"""The transfer of one model to all folds, from tables to model files."""

import json
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sertk.data.store import Store, load_store
from sertk.errors import SertkError
from sertk.kaldi.atomic import atomic_file
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.resnet import Head, NetworkSpec
from sertk.runtime import choose_device, set_threads
from sertk.training.choosing import choosing_fold, figures, how_chosen
from sertk.training.job import card, labelled, trained_on, write_conf
from sertk.training.selection import Labelling, read_labelling
from sertk.training.targets import targets_of
from sertk.training.transfer import HeadSettings, HeadTraining, train_heads, with_head

log = logging.getLogger("sertk")


def train_all_heads(model_path: Path, draws: Rspecifier, utt2label: Path, utt2fold: Path, directory: Path,
                    folds: list[str] | None, *, eval_vectors: Rspecifier | None = None, soft_labels: Path | None = None,
                    device=None, num_threads=None, max_skip=0.05, **options) -> None:  # fmt: skip
    """Train a head for each of `folds` (None: all) and write DIR/FOLD/{final.pt,train.jsonl,train.conf}.

    Args:
        eval_vectors: the pooled vectors of whole segments, where they choose the epoch.
        soft_labels: the raters' votes, where they are learnt instead of the labels.

    Raises:
        SertkError: where the draws were made by another model, or are too few for the epochs.
    """
    device, _ = choose_device(device), set_threads(num_threads)
    model = load_model(model_path)
    labelling = read_labelling(utt2label, utt2fold)
    # Nothing is held that an epoch does not need: the draws of all epochs can be larger than any memory.
    store = labelled(load_store(draws, resident_bytes=0), labelling, labelling.of_segment, max_skip, str(draws))
    made = settings_of(draws)
    spec = head_spec(model, made, len(labelling.labels))
    settings = HeadSettings(**options, versions=versions_of(made))
    check_draws(model, model_path, made, spec, settings, draws, store)
    targets = targets_of(store.keys, labelling, utt2label, soft_labels)
    whole = read_vectors(eval_vectors, model, model_path, spec, store.keys).to(device) if eval_vectors else None
    trainings, choosing = {}, {}
    for fold in folds or labelling.folds():
        choosing[fold] = chooser = choosing_fold(labelling, settings.select, fold)
        members, develop = indices(store, labelling.training(fold, chooser)), None
        if chooser:
            look = indices(store, labelling.of_fold(chooser))
            develop = look_at(whole[look], targets.labels[look], spec)
        trainings[fold] = HeadTraining(spec, members, targets, settings, device, develop)
    log.info(
        "%d segments, labels %s; heads for the folds %s", len(store), " ".join(labelling.labels), " ".join(trainings)
    )
    number = {key: index for index, key in enumerate(store.keys)}
    rows = lambda key, start, stop: store[number[key]].rows(start, stop)  # noqa: E731
    for epoch, records in train_heads(trainings, store.keys, rows, device):
        log.info("epoch %d of %d: loss %s, accuracy %s%s", epoch, settings.epochs,
                 " ".join(f"{record['loss']:.3f}" for record in records.values()),
                 " ".join(f"{100 * record['accuracy']:.1f}" for record in records.values()),
                 ", UA of whole segments " + " ".join(f"{100 * record['dev_ua']:.1f}" for record in records.values())
                 if eval_vectors else "")  # fmt: skip
    for fold, training in trainings.items():
        write_fold(directory / fold, fold, model, training, labelling, store, choosing[fold])


def settings_of(draws: Rspecifier) -> dict:
    """How the draws were made, {} where that is unknown (a pipe has no manifest)."""
    manifest = read_manifest(draws)
    return manifest.settings if manifest else {}


def versions_of(made: dict) -> int:
    """How many versions of a segment an epoch of draws holds."""
    return len(made.get("augment", ("none", "conservative", "aggressive")))


def head_spec(model: Model, made: dict, num_labels: int) -> NetworkSpec:
    """The network that a head on draws `made` so becomes: on maps (embed-segments --at map) it is one without pooling."""
    fields = {**model.network.spec.plain(), "num_labels": num_labels}
    if made.get("at") == "map":
        fields |= {"pooling": "none", "frames": made["chunk_frames"][0]}
    return NetworkSpec.from_plain(fields)


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


def write_fold(
    directory: Path,
    fold: str,
    model: Model,
    training: HeadTraining,
    labelling: Labelling,
    store: Store,
    chooser: str | None,
) -> None:
    """Write the finished model of a fold and how it came about; `chooser` is the fold that chose the epoch."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in vars(training.settings).items() if name != "versions"}
    write_conf(directory / "train.conf", settings)
    with atomic_file(directory / "train.jsonl", "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in training.history)
    chosen = {store.keys[index]: labelling.of_segment[store.keys[index]] for index in training.members}
    head, epoch = training.chosen()
    looked_at = [key for key in store.keys if labelling.fold_of[key] == chooser]
    record = trained_on(chosen, fold, how_chosen(training.settings.select, epoch, chooser, looked_at), trunk=model)
    how = card(
        "transfer-head",
        {**vars(training.settings), "init": model.digest, "soft_labels": training.targets.mark()},
        record,
    )
    network = with_head(model.network, training.spec, head)
    save_model(directory / "final.pt", Model(network, labelling.labels, model.frontend, how))
    log.info("wrote %s", directory / "final.pt")
