"""The run of a head: its training and its folder."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sertk.atomic import remove
from sertk.data.moments import FoldMoments
from sertk.data.store import Store
from sertk.jobs.drawtable import DrawTable
from sertk.jobs.vectortable import VectorTable
from sertk.kaldi.tables import table_writer
from sertk.models.modelfile import Model
from sertk.models.resnet import Head
from sertk.models.vectorhead import posteriors
from sertk.runs.card import model_card, training_record
from sertk.runs.run import Run
from sertk.runs.state import ROUNDING
from sertk.scoring.posteriors import INNER_SCORES
from sertk.training.head import HeadTraining
from sertk.training.labelling import Labelling
from sertk.training.model_selection import selection_record
from sertk.training.targets import Targets

log = logging.getLogger("sertk")

# A head trained on another machine is the same head; other code trains it again, which takes seconds.
HEAD_ROUNDING = ROUNDING - {"code"} | {"stacked"}


@dataclass(frozen=True)
class LabelSet:
    """Labels and folds of some of the segments, and the folder of their models.

    Args:
        directory: DIR of DIR/FOLD/final.pt.
        labelling: labels and folds.
        store: the draws of its segments.
        targets: of its segments.
        fingerprint: of its data.
        moments: of its folds, for heads that standardise their input.
    """

    directory: Path
    labelling: Labelling
    store: Store
    targets: Targets
    fingerprint: dict
    moments: FoldMoments | None = None

    def standardisation(self, *held_out: str | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and deviation of the vectors of all folds but these; None for heads that do not standardise."""
        folds = [fold for fold in self.labelling.folds() if fold not in held_out]
        return self.moments.of(folds) if self.moments else None


def indices(store: Store, labels: dict[str, str]) -> np.ndarray:
    """Indices of a store's segments that have one of the given labels."""
    return np.array([index for index, key in enumerate(store.keys) if key in labels])


def predictions(rows: list[np.ndarray], device: torch.device) -> Callable[[Head], torch.Tensor]:
    """The function that predicts whole segments with a head in training: (segments, labels) posteriors, on the CPU.

    Args:
        rows: (rows, dim) of each segment.
        device: where to compute.
    """
    together = torch.from_numpy(np.concatenate(rows)).to(device)
    counts = torch.tensor([len(part) for part in rows], device=device)

    def predict(head: Head) -> torch.Tensor:
        head.eval()
        predicted = posteriors(head, together, counts).cpu()
        head.train()
        return predicted

    return predict


def decisions(rows: list[np.ndarray], device: torch.device) -> Callable[[Head], list[int]]:
    """The function that decides on whole segments: their most probable labels (see predictions)."""
    predict = predictions(rows, device)
    return lambda head: predict(head).argmax(dim=1).tolist()


class HeadRun(Run):
    """The run of a head with one fold held out.

    Args:
        label_set: labels and folds.
        fold: the fold that is held out.
        development_fold: the fold that selects the epoch (see model_selection).
        members: (segments,) indices of the training segments among the label set's.
        settings: training settings and fingerprints of trunk, draws and machine, plain types.
    """

    def __init__(
        self, label_set: LabelSet, fold: str, development_fold: str | None, members: np.ndarray, settings: dict
    ) -> None:
        settings = {**settings, **label_set.fingerprint, "fold": fold}
        super().__init__(label_set.directory / fold, settings, HEAD_ROUNDING, retrain=True)
        self.label_set, self.fold, self.development_fold = label_set, fold, development_fold
        self.members = members
        self.training: HeadTraining | None = None
        self.choice: dict | None = None  # of settings from a grid, see sertk.jobs.gridsearch
        self.search = self.directory / "grid.pt"
        self.inner: dict[str, torch.Tensor] | None = None  # scores of the training segments, see sertk.jobs.innerscores

    def start(self, training: HeadTraining) -> None:
        """Attach a training, resumed from the last checkpoint if there is one."""
        self.training = training
        settings = {name: value for name, value in training.settings.plain().items() if name != "versions"}
        self.write_conf(settings)
        training.load_progress(self.resume())
        if training.history:
            log.info("%s: resuming after epoch %d", self.directory, len(training.history))

    def save(self) -> None:
        """Write a checkpoint after an epoch."""
        self.checkpoint(self.training.progress())

    def write_model(self, table: DrawTable | VectorTable) -> None:
        """Write the finished model: the head of the selected epoch, on the trunk if there is one."""
        keys, labelling = self.label_set.store.keys, self.label_set.labelling
        labels = {keys[index]: labelling.of_segment[keys[index]] for index in self.members}
        head, epoch = self.training.selected()
        development = [key for key in keys if labelling.fold_of[key] == self.development_fold]
        selection = selection_record(self.training.settings.select, epoch, self.development_fold, development)
        record = training_record(labels, labelling.speaker_of, self.fold, selection, trunk=table.trained_on)
        network = table.network(self.training.spec, head)
        card = model_card("transfer-head", self.settings, record)
        if self.training.settings.layer_weights:
            card["layer_weights"] = network.layer_weights().tolist()
            log.info("%s: weights of the layers: %s", self, " ".join(f"{w:.3f}" for w in card["layer_weights"]))
        if self.choice:
            card["grid"] = self.choice
        self._write_inner(record, table.frontend)
        self.finish(Model(network, labelling.labels, table.frontend, card), self.training.history)
        remove(self.search)

    def _write_inner(self, record: dict, frontend: dict) -> None:
        """Write the scores of the training segments as DIR/FOLD/inner.ark, or remove those of an earlier head."""
        archive = self.directory / INNER_SCORES
        if self.inner is None:
            for path in (archive, archive.with_suffix(".manifest")):
                remove(path)
            return
        settings = {"labels": self.label_set.labelling.labels, "frontend": frontend, "trained_on": record}
        with table_writer(
            f"ark:{archive}", kind="vector", settings=settings | {"inner": "one more fold held out"}
        ) as write:
            for key in sorted(self.inner):
                write(key, self.inner[key].numpy())

    def _tidy(self) -> None:
        super()._tidy()
        remove(self.search)
