"""What a training starts from: initial model, labels, features, targets, and the network."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sertk.data.statistics import bin_statistics
from sertk.data.store import Store, load_store
from sertk.errors import SertkError
from sertk.jobs.labels import read_labelling, read_targets
from sertk.jobs.options import TrainingOptions
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest
from sertk.models.modelfile import Model, check_frontend, load_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runs.fingerprint import data_fingerprint, label_order_fingerprint
from sertk.training.labelling import Labelling, labelled, labels_of
from sertk.training.loop import seeded
from sertk.training.model_selection import development_fold
from sertk.training.settings import TrainingSettings
from sertk.training.targets import Targets

log = logging.getLogger("sertk")


@dataclass(frozen=True)
class Inputs:
    """Data and initial model of a training run.

    Args:
        initial: the model to start from, None for a new network.
        labelling: labels and folds.
        store: features of the training segments.
        targets: of these segments.
        frontend: settings of the features, {} if unknown (a pipe has no manifest).
        sha256: of the features' table, "" if unknown.
        held_out: the fold that is not trained on; None for none.
        development_fold: the fold that selects the epoch (see model_selection).
        development: features of that fold.
    """

    initial: Model | None
    labelling: Labelling
    store: Store
    targets: Targets
    frontend: dict
    sha256: str
    held_out: str | None
    development_fold: str | None
    development: Store | None

    def fingerprint(self) -> dict:
        """Fingerprints of the data, plain types."""
        fingerprint = data_fingerprint("data", labels_of(self.store, self.labelling), self.store, self.sha256)
        if self.development:
            labels = labels_of(self.development, self.labelling)
            fingerprint |= data_fingerprint("development", labels, self.development, self.sha256)
        labels = label_order_fingerprint(self.labelling.labels)
        return fingerprint | {"labels": labels, "soft_labels": self.targets.fingerprint()}


def read_inputs(
    feats: Rspecifier,
    utt2label: Path,
    settings: TrainingSettings,
    options: TrainingOptions,
    everything: Store | None = None,
) -> Inputs:
    """Read the initial model, and labels, features and targets of the training segments and the development fold.

    Args:
        feats: normalised features.
        utt2label: their labels.
        settings: how to train.
        options: what to start from, what to hold out.
        everything: the features, if they have been read.

    Raises:
        SertkError: more than --max-skip of the labelled segments have no features, the folds leave nothing to train on, or
            the features do not fit the initial model.
    """
    initial = load_model(options.init) if options.init else None
    labelling = read_labelling(utt2label, options.utt2fold)
    held_out, max_skip = options.fold, options.max_skip
    fold = development_fold(labelling, settings.select, held_out)
    manifest, everything = read_manifest(feats), everything or load_store(feats)
    store = labelled(everything, labelling, labelling.training(held_out, fold), max_skip, str(feats))
    development = None
    if fold:
        labels = labelling.of_fold(fold)
        development = labelled(everything.only(labels.__contains__), labelling, labels, max_skip, str(feats))
    targets = read_targets(store.keys, labelling, utt2label, options.soft_labels)
    if settings.class_weights == "balanced":
        targets = targets.balanced(len(labelling.labels))
    frontend, sha256 = (manifest.settings, manifest.sha256) if manifest else ({}, "")
    if initial:
        check_frontend(initial, frontend, options.init, str(feats))
        frontend = frontend or initial.frontend
    return Inputs(initial, labelling, store, targets, frontend, sha256, held_out, fold, development)


def start_network(
    inputs: Inputs, path: Path | None, settings: TrainingSettings, network_options: dict[str, Any]
) -> ResNet:
    """Create a network, or take the initial model's: with a new head unless labels and pooling are the same.

    Args:
        inputs: initial model, labels and features.
        path: of the initial model, for messages.
        settings: chunk lengths and seed.
        network_options: fields of NetworkSpec; None for those that are not set.

    Raises:
        SertkError: options contradict the initial network, or the features have another number of bins.
    """
    initial, labels, bins = inputs.initial, inputs.labelling.labels, inputs.store.bins
    given = {name: value for name, value in network_options.items() if value is not None}
    if "pooling" in given:
        flat = given["pooling"] == "none"
        if flat and len(settings.chunk_frames) > 1:
            raise SertkError("--pooling none takes chunks of one length: give --chunk-frames one number")
        given["frames"] = settings.chunk_frames[0] if flat else 0
    if initial is None:
        spec = NetworkSpec(len(labels), bins, **given)
        network = seeded(lambda: ResNet(spec), settings.seed)
        if spec.input_norm:
            network.trunk.norm.adapt(*map(torch.from_numpy, bin_statistics(inputs.store)))
        return network
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
    needed = spec.with_new_head(len(labels), **pooling)
    if initial.labels == labels and needed == spec:
        log.info("%s: trunk and head are kept (the labels are the same)", path)
        return initial.network
    before, now, names = len(initial.labels), len(labels), " ".join(labels[:8])
    log.info("%s: the trunk is kept, the head of %d labels is replaced by one of %d (%s)", path, before, now, names)
    network = seeded(lambda: ResNet(needed), settings.seed)
    network.trunk.load_state_dict(initial.network.trunk.state_dict())
    return network
