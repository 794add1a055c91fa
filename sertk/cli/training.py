"""What the binaries that train share: their options, signals, and the bar that shows how far they are."""

import logging
import sys

import click

from sertk.cli.options import FILE, group
from sertk.runs.preemption import RUN_AGAIN, StopRequest

__all__ = [
    "POLICY_NAMES", "RUN_AGAIN", "EpochBar", "catch_signals", "check_balance", "precision_option", "schedule_options",
    "select_option", "target_options",
]  # fmt: skip
log = logging.getLogger("sertk")


class _Names(click.ParamType):
    """A comma-separated list of mask policies."""

    name = "NAME,NAME,…"

    def convert(self, value, param, ctx):
        names = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
        from sertk.data.masks import parse_policy
        from sertk.errors import SertkError

        try:
            for name in names:
                parse_policy(name)
        except SertkError as error:
            self.fail(str(error), param, ctx)
        return names


POLICY_NAMES = _Names()

schedule_options = group(
    "Gradient descent",
    click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="Passes over the segments."),
    click.option("--batch-size", "--global-batch", type=click.IntRange(2, 1 << 31), default=32, show_default=True,
                 help="Chunks a step, over all processes."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=0.01, show_default=True,
                 help="Of the first epochs."),
    click.option("--hold-epochs", type=click.IntRange(0), default=8, show_default=True,
                 help="Epochs before the learning rate is first halved."),
    click.option("--halve-every", type=click.IntRange(1), default=2, show_default=True, help="Epochs between halvings."),
    click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=0.9, show_default=True,
                 help="Part of a step that is taken again in the next."),
    click.option("--weight-decay", type=click.FloatRange(0), default=0.0, show_default=True,
                 help="How much weights are drawn to 0, all but PReLU's slopes."),
)  # fmt: skip

target_options = group(
    "Targets",
    click.option("--label-smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
                 help="Part of a segment's target that is spread over all labels."),
    click.option("--soft-labels", type=FILE, metavar="UTT2VOTES",
                 help="Learn each label's share of the raters' votes (lines of UTT RATER=LABEL,LABEL …) instead of the label."
                      " Accuracy is by the label still."),
    click.option("--class-weights", type=click.Choice(["none", "balanced"]), default="none", show_default=True,
                 help="In the loss all segments count alike, or those of rarer labels more (1 in the mean)."),
    click.option("--sampling", type=click.Choice(["natural", "balanced"]), default="natural", show_default=True,
                 help="An epoch has every segment once, or as many segments with each label equally often."),
)  # fmt: skip


def check_balance(options: dict) -> None:
    """Refuse to make up twice for labels that are rare."""
    if options["class_weights"] == options["sampling"] == "balanced":
        raise click.UsageError("--class-weights balanced and --sampling balanced do the same: give one of them")


select_option = click.option(
    "--select", type=click.Choice(["last", "dev-session", "oracle"]), default="last", show_default=True,
    help="Keep the last epoch, or the one with the best UA on whole segments: of the next fold, which is not trained on"
         " either (dev-session), or of the held-out fold itself (oracle: its scores are stamped LEAKY).")  # fmt: skip

precision_option = click.option(
    "--precision", type=click.Choice(["auto", "float32", "bf16"]), default="auto", show_default=True,
    help="Of the computation; auto: bf16 where the hardware computes in it, float32 elsewhere.")  # fmt: skip


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
