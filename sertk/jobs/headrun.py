"""A head in training and its run's folder."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.data.store import Store
from sertk.models.modelfile import Model
from sertk.runs.card import card, trained_on
from sertk.runs.run import Run
from sertk.runs.state import ROUNDING
from sertk.training.head import HeadTraining, with_head
from sertk.training.labelling import Labelling
from sertk.training.model_selection import how_chosen
from sertk.training.targets import Targets

log = logging.getLogger("sertk")

# A head trained on another machine is the same head. Other code trains it again: that takes seconds.
HEAD_ROUNDING = ROUNDING - {"code"}


@dataclass(frozen=True)
class LabelSet:
    """A task on the draws: labels and folds of some of the segments, and where its models go.

    Args:
        directory: DIR of DIR/FOLD/final.pt.
        labelling: labels and folds.
        store: the draws of its segments.
        targets: of its segments.
        marks: fingerprints of its data.
    """

    directory: Path
    labelling: Labelling
    store: Store
    targets: Targets
    marks: dict


class HeadRun(Run):
    """The run of a head with one fold held out.

    Args:
        task: labels and folds.
        fold: the fold that is held out.
        choosing: the fold that chooses the epoch (see model_selection).
        members: (segments,) indices of the training segments among the task's.
        settings: training settings and fingerprints of trunk, draws and machine, plain types.
    """

    def __init__(self, task: LabelSet, fold: str, choosing: str | None, members: np.ndarray, settings: dict) -> None:
        super().__init__(task.directory / fold, {**settings, **task.marks, "fold": fold}, HEAD_ROUNDING, retrain=True)
        self.task, self.fold, self.choosing, self.members = task, fold, choosing, members
        self.training: HeadTraining | None = None

    def start(self, training: HeadTraining) -> None:
        """Train by `training`, from the last checkpoint if there is one."""
        self.training = training
        settings = {name: value for name, value in vars(training.settings).items() if name != "versions"}
        self.write_conf(settings)
        training.load_progress(self.resume())
        if training.history:
            log.info("%s: resuming after epoch %d", self.directory, len(training.history))

    def save(self) -> None:
        """Checkpoint after an epoch."""
        self.checkpoint(self.training.progress())

    def write_model(self, trunk: Model) -> None:
        """Write the finished model: the trunk of `trunk` and the head of the chosen epoch."""
        task, training = self.task, self.training
        keys = task.store.keys
        labels = {keys[index]: task.labelling.of_segment[keys[index]] for index in self.members}
        head, epoch = training.chosen()
        chosen_on = [key for key in keys if task.labelling.fold_of[key] == self.choosing]
        selection = how_chosen(training.settings.select, epoch, self.choosing, chosen_on)
        record = trained_on(labels, task.labelling.speaker_of, self.fold, selection, trunk=trunk)
        network = with_head(trunk.network, training.spec, head)
        model = Model(network, task.labelling.labels, trunk.frontend, card("transfer-head", self.settings, record))
        self.finish(model, training.history)
