"""What a training starts from: initial model, labels, features and targets."""

import logging
from dataclasses import dataclass
from pathlib import Path

from sertk.data.store import Store, load_store
from sertk.jobs.labels import read_labelling, read_targets
from sertk.jobs.options import TrainingOptions
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import read_manifest
from sertk.models.modelfile import Model, check_frontend, load_model
from sertk.runs.fingerprint import data_fingerprint, label_order_fingerprint
from sertk.training.labelling import Labelling, labelled, labels_of
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


def warn_of_unknown_frontend(frontend: dict, feats: Rspecifier) -> None:
    """Log a warning if nothing records how features were computed: the network cannot take audio then.

    Args:
        frontend: settings of the features.
        feats: their table, for the message.
    """
    if "fbank" not in frontend:
        log.warning(
            "%s: no manifest records how these features were computed (pipes have none): classify-audio and export-onnx will "
            "refuse the network (make-fbank --cmvn true computes and normalises in one step, with a manifest)",
            feats,
        )


def read_inputs(
    feats: Rspecifier,
    utt2label: Path,
    settings: TrainingSettings,
    options: TrainingOptions,
    everything: Store | None = None,
    labelling: Labelling | None = None,
) -> Inputs:
    """Read the initial model, and labels, features and targets of the training segments and the development fold.

    Args:
        feats: normalised features.
        utt2label: their labels.
        settings: how to train.
        options: what to start from, what to hold out.
        everything: the features, if they have been read.
        labelling: the labels and folds, if they have been read.

    Raises:
        SertkError: more than --max-skip of the labelled segments have no features, the folds leave nothing to train on, or
            the features do not fit the initial model.
    """
    initial = load_model(options.init) if options.init else None
    labelling = labelling or read_labelling(utt2label, options.utt2fold)
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
