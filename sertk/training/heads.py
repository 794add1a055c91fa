"""The transfer of one model to all folds, from tables to model files."""

import json
import logging
from pathlib import Path

import numpy as np
import torch

from sertk.data.store import Store, load_store
from sertk.errors import SertkError
from sertk.kaldi.atomic import atomic_file
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.resnet import NetworkSpec
from sertk.runtime import choose_device, set_threads
from sertk.training.choosing import how_chosen
from sertk.training.job import card, labelled, trained_on, write_conf
from sertk.training.selection import Labelling, read_labelling
from sertk.training.transfer import HeadSettings, HeadTraining, train_heads, with_head

log = logging.getLogger("sertk")


def train_all_heads(model_path: Path, draws: Rspecifier, utt2label: Path, utt2fold: Path, directory: Path,
                    folds: list[str] | None, *, device=None, num_threads=None, max_skip=0.05, **options) -> None:  # fmt: skip
    """Train a head for each of `folds` (None: all) and write DIR/FOLD/{final.pt,train.jsonl,train.conf}.

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
    targets = torch.tensor([labelling.index(key) for key in store.keys])
    trainings = {fold: HeadTraining(spec, members(store, labelling, fold), targets, settings, device)
                 for fold in folds or labelling.folds()}  # fmt: skip
    log.info(
        "%d segments, labels %s; heads for the folds %s", len(store), " ".join(labelling.labels), " ".join(trainings)
    )
    number = {key: index for index, key in enumerate(store.keys)}
    rows = lambda key, start, stop: store[number[key]].rows(start, stop)  # noqa: E731
    for epoch, records in train_heads(trainings, store.keys, rows, device):
        log.info("epoch %d of %d: loss %s, accuracy %s", epoch, settings.epochs,
                 " ".join(f"{record['loss']:.3f}" for record in records.values()),
                 " ".join(f"{100 * record['accuracy']:.1f}" for record in records.values()))  # fmt: skip
    for fold, training in trainings.items():
        write_fold(directory / fold, fold, model, training, labelling, store)


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


def members(store: Store, labelling: Labelling, fold: str) -> np.ndarray:
    """Indices of the segments that are trained on when `fold` is held out."""
    training = labelling.training(fold)
    return np.array([index for index, key in enumerate(store.keys) if key in training])


def write_fold(
    directory: Path, fold: str, model: Model, training: HeadTraining, labelling: Labelling, store: Store
) -> None:
    """Write the finished model of a fold and how it came about."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in vars(training.settings).items() if name != "versions"}
    write_conf(directory / "train.conf", settings)
    with atomic_file(directory / "train.jsonl", "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in training.history)
    chosen = {store.keys[index]: labelling.of_segment[store.keys[index]] for index in training.members}
    network = with_head(model.network, training.spec, training.head)
    how = card(
        "transfer-head",
        {**vars(training.settings), "init": model.digest},
        trained_on(chosen, fold, how_chosen("last", len(training.history), None, ()), trunk=model),
    )
    save_model(directory / "final.pt", Model(network, labelling.labels, model.frontend, how))
    log.info("wrote %s", directory / "final.pt")
