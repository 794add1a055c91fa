"""A head in training and what of it is on the disk: its state after every epoch, and the finished model."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.atomic import only_process_in, remove
from sertk.data.store import Store
from sertk.errors import SertkError
from sertk.models.modelfile import Model, load_model, read_checked, save_model, write_checked
from sertk.models.resnet import Head
from sertk.runs.card import card, trained_on, write_conf
from sertk.runs.state import MACHINE, difference
from sertk.training.head import HeadTraining, with_head
from sertk.training.labelling import Labelling
from sertk.training.loop import write_records
from sertk.training.model_selection import how_chosen
from sertk.training.targets import Targets

log = logging.getLogger("sertk")

FORMAT = "sertk-head-1"
# A head is what it is wherever it was trained, and goes on elsewhere. Other code trains it anew: that takes seconds.
ELSEWHERE = MACHINE - {"code"}


@dataclass(frozen=True)
class LabelSet:
    """A task on the draws: labels and folds of some of the segments, and where its models go.

    Args:
        directory: DIR of DIR/FOLD/final.pt.
        labelling: labels and folds.
        store: the draws of its segments.
        targets: of its segments.
        marks: of its data (see identity).
    """

    directory: Path
    labelling: Labelling
    store: Store
    targets: Targets
    marks: dict


class HeadRun:
    """The training of a head with one fold held out, in the fold's folder.

    Args:
        task: labels and folds.
        fold: what is held out.
        chooser: the fold that chooses the epoch (see choosing).
        members: (segments,) indices of the training segments among the task's.
        settings: how, of what trunk, on what draws and machine, plain types: with the task's marks, everything that the
            head's weights are a function of.
    """

    def __init__(self, task: LabelSet, fold: str, chooser: str | None, members: np.ndarray, settings: dict):
        self.task, self.fold, self.chooser, self.members = task, fold, chooser, members
        self.shape = {**settings, **task.marks, "fold": fold}
        self.directory = task.directory / fold
        self.final, self.state = self.directory / "final.pt", self.directory / "state.pt"
        self.training: HeadTraining | None = None

    def __str__(self):
        return str(self.directory)

    def finished(self) -> bool:
        """Whether its model is there; of one of other settings or data it is said that it will be replaced."""
        if not self.final.exists():
            return False
        try:
            reason = difference(load_model(self.final).card.get("settings", {}), self.shape, ELSEWHERE)
        except SertkError as error:
            reason = str(error)
        if reason:
            log.warning("%s: trained anew: %s", self.final, reason)
        else:
            log.info("%s: kept, it is of this call", self.final)
            with suppress(SertkError), only_process_in(self.directory):
                remove(self.state)  # the run was killed before it could
        return not reason

    def hold(self):
        """A context in which no other process writes in the head's folder, which is made."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return only_process_in(self.directory)

    def begin(self, training: HeadTraining) -> None:
        """Train by `training`, from where a killed run of the same shape had come if there is one."""
        self.training = training
        if not self.state.exists():
            return
        try:
            found, _ = read_checked(self.state)
            before = found.get("settings", {})
            reason = (
                difference(before, self.shape, ELSEWHERE) if found.get("format") == FORMAT else "of another version"
            )
        except SertkError as error:
            reason = str(error)
        if reason:
            log.warning("%s: begun anew: %s", self.state, reason)
            return
        if said := difference(before, self.shape):
            log.warning("%s: begun with %s: it goes on, but not to the same bytes", self.state, said)
        training.history = found["history"]
        training.head.load_state_dict(found["head"])
        training.optimiser.load_state_dict(found["optimiser"])
        if found["best"]:
            training.best = Head(training.spec).to(training.device)
            training.best.load_state_dict(found["best"])
        log.info("%s: going on after epoch %d", self.directory, len(training.history))

    def checkpoint(self) -> None:
        """Write the state that the next call goes on from."""
        training = self.training
        write_checked(self.state, {
            "format": FORMAT, "settings": self.shape, "history": training.history, "head": training.head.state_dict(),
            "optimiser": training.optimiser.state_dict(), "best": training.best.state_dict() if training.best else {},
        })  # fmt: skip
        write_records(self.directory, training.history)

    def finish(self, trunk: Model) -> None:
        """Write the finished model, of the trunk of `trunk` and the head, and how it came about."""
        task, training = self.task, self.training
        settings = {name: value for name, value in vars(training.settings).items() if name != "versions"}
        write_conf(self.directory / "train.conf", settings)
        write_records(self.directory, training.history)
        keys = task.store.keys
        chosen = {keys[index]: task.labelling.of_segment[keys[index]] for index in self.members}
        head, epoch = training.chosen()
        looked_at = [key for key in keys if task.labelling.fold_of[key] == self.chooser]
        how = how_chosen(training.settings.select, epoch, self.chooser, looked_at)
        record = trained_on(chosen, task.labelling.speaker_of, self.fold, how, trunk=trunk)
        network = with_head(trunk.network, training.spec, head)
        model = Model(network, task.labelling.labels, trunk.frontend, card("transfer-head", self.shape, record))
        save_model(self.final, model)
        remove(self.state)
        log.info("wrote %s", self.final)
