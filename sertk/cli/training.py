"""What the training binaries share: option groups, signals, the progress bar."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import click

from sertk.cli.generated import option_of, options_of
from sertk.cli.options import only_for
from sertk.jobs.options import JobOptions
from sertk.runs.preemption import RUN_AGAIN, StopRequest
from sertk.training.settings import DescentSettings, TrainingSettings

__all__ = [
    "HELD_OUT",
    "RUN_AGAIN",
    "EpochBar",
    "catch_signals",
    "check_balance",
    "check_descent",
    "precision_option",
    "schedule_options",
    "select_option",
    "target_options",
]
log = logging.getLogger("sertk")

HELD_OUT = "Held-out fold and model selection"
SCHEDULE = (
    "epochs", "batch_size", "learning_rate", "schedule", "hold_epochs", "halve_every", "final_learning_rate", "warmup_epochs",
    "momentum", "nesterov", "weight_decay", "decay_all",
)  # fmt: skip

schedule_options = options_of(DescentSettings, "Gradient descent", *SCHEDULE)
select_option = options_of(DescentSettings, HELD_OUT, "select")
precision_option = option_of(TrainingSettings.__dataclass_fields__["precision"])
_targets = options_of(DescentSettings, "Targets", "label_smoothing", "class_weights", "sampling")
_soft_labels = options_of(JobOptions, "Targets", "soft_labels")


def target_options(function: Callable) -> Callable:
    """Decorator that adds the options of training targets."""
    return _soft_labels(_targets(function))


def check_balance(options: dict[str, Any]) -> None:
    """Check that rare labels are not balanced twice.

    Raises:
        click.UsageError: both class weights and sampling are balanced.
    """
    if options["class_weights"] == options["sampling"] == "balanced":
        raise click.UsageError("--class-weights balanced and --sampling balanced do the same: give one of them")


def check_descent(options: dict[str, Any]) -> None:
    """Check that the options of gradient descent fit together.

    Raises:
        click.UsageError: they do not.
    """
    final, halving = options["final_learning_rate"], options["schedule"] == "halving"
    only_for("--schedule halving", halving, "hold_epochs", "halve_every")
    only_for("--schedule exponential and cosine", not halving, "final_learning_rate")
    grid = options.get("grid")  # which may have others than 0
    only_for("--momentum above 0", grid or options["momentum"], "nesterov")
    only_for("--weight-decay above 0", grid or options["weight_decay"], "decay_all")
    if final and not halving and final > options["learning_rate"]:
        raise click.UsageError(f"--final-learning-rate {final:g} is above --learning-rate {options['learning_rate']:g}")
    if options["warmup_epochs"] > options["epochs"]:
        raise click.UsageError(
            f"--warmup-epochs {options['warmup_epochs']:g}: there are only {options['epochs']} epochs"
        )


def catch_signals() -> StopRequest:
    """Catch TERM and USR1 from here on."""
    return StopRequest()


class EpochBar:
    """Loss, accuracy, learning rate and speed: as a progress bar on a terminal, else in a line an epoch.

    Args:
        epochs: of the training.
        batches: of an epoch.
        name: of one of several trainings that run side by side; they have lines only.
    """

    def __init__(self, epochs: int, batches: int, name: str = "") -> None:
        self.epochs, self.batches, self.epoch, self.bar = epochs, batches, 0, None
        self.shown = sys.stderr.isatty() and log.isEnabledFor(logging.INFO) and not name
        self.prefix = f"{name}: " if name else ""

    def __call__(self, epoch: int, batch: int, record: dict) -> None:
        """Show the figures of an epoch after `batch` of its batches."""
        if self.shown and epoch != self.epoch:
            from tqdm import tqdm

            name = f"epoch {epoch}/{self.epochs}"
            self.bar = tqdm(total=self.batches, desc=name, unit="batch", dynamic_ncols=True, initial=batch - 1)
        self.epoch = epoch
        if self.bar:
            self.bar.set_postfix_str(_figures(record), refresh=False)
            self.bar.update(batch - self.bar.n)
        if batch == self.batches:
            if self.bar:
                self.bar.close()
                self.bar = None
            log.info("%sepoch %d of %d: %s", self.prefix, epoch, self.epochs, _figures(record))


def _figures(record: dict) -> str:
    return (
        f"loss {record['loss']:.4f} accuracy {100 * record['accuracy']:.2f} % lr {record['learning_rate']:g}"
        f" {record['chunks_per_second']:.0f} seg/s"
    )
