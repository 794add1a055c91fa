"""What the binaries that train share: their options, signals, and the bar that shows how far they are."""

import logging
import sys

import click

from sertk.cli.generated import option_of, options_of
from sertk.jobs.options import TrainingOptions
from sertk.runs.preemption import RUN_AGAIN, StopRequest
from sertk.training.settings import DescentSettings, TrainingSettings

__all__ = [
    "HELD_OUT", "RUN_AGAIN", "EpochBar", "catch_signals", "check_balance", "precision_option", "schedule_options",
    "select_option", "target_options",
]  # fmt: skip
log = logging.getLogger("sertk")

HELD_OUT = "Held-out fold and model selection"


schedule_options = options_of(
    DescentSettings, "Gradient descent", "epochs", "batch_size", "learning_rate", "hold_epochs", "halve_every", "momentum",
    "weight_decay",
)  # fmt: skip
_targets = options_of(DescentSettings, "Targets", "label_smoothing", "class_weights", "sampling")
_soft_labels = options_of(TrainingOptions, "Targets", "soft_labels")
select_option = options_of(DescentSettings, HELD_OUT, "select")
precision_option = option_of(TrainingSettings.__dataclass_fields__["precision"])


def target_options(function):
    """What a network or head learns."""
    return _soft_labels(_targets(function))


def check_balance(options: dict) -> None:
    """Refuse to make up twice for labels that are rare."""
    if options["class_weights"] == options["sampling"] == "balanced":
        raise click.UsageError("--class-weights balanced and --sampling balanced do the same: give one of them")


def catch_signals() -> StopRequest:
    """Notice TERM and USR1 from here on."""
    return StopRequest()


class EpochBar:
    """Loss, accuracy, learning rate, chunks a second and time left: a bar on a terminal, else a line an epoch."""

    def __init__(self, epochs: int, batches: int):
        self.epochs, self.batches, self.epoch, self.bar = epochs, batches, 0, None
        self.shown = sys.stderr.isatty() and log.isEnabledFor(logging.INFO)

    def __call__(self, epoch: int, batch: int, record: dict):
        if self.shown and epoch != self.epoch:
            from tqdm import tqdm

            self.bar = tqdm(total=self.batches, desc=f"epoch {epoch}/{self.epochs}", unit="batch", dynamic_ncols=True,
                            initial=batch - 1)  # fmt: skip
        self.epoch = epoch
        if self.bar:
            self.bar.set_postfix_str(_figures(record), refresh=False)
            self.bar.update(batch - self.bar.n)
        if batch == self.batches:
            if self.bar:
                self.bar.close()
                self.bar = None
            log.info("epoch %d of %d: %s", epoch, self.epochs, _figures(record))


def _figures(record: dict) -> str:
    return (
        f"loss {record['loss']:.4f} accuracy {100 * record['accuracy']:.2f} % lr {record['learning_rate']:g}"
        f" {record['chunks_per_second']:.0f} seg/s"
    )
