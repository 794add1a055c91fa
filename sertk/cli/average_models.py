"""average-models: average the weights of several models."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.types import FILE


@command
@click.argument("models", metavar="MODEL…", type=FILE, nargs=-1, required=True)
@click.argument("out", metavar="OUT", type=FILE)
def main(models: tuple[Path, ...], out: Path) -> None:
    """Average the weights of several models of one network, such as the last epochs of a run (train-resnet --keep N).

    BatchNorm statistics are averaged too. The training data that OUT records is the union of the models'.

    \b
    e.g.: average-models exp/resnet34/epoch.18.pt exp/resnet34/epoch.19.pt exp/resnet34/epoch.20.pt exp/resnet34/mean.pt
    See also: train-resnet, predict-emotion, embed-segments
    """
    if len(models) < 2:
        raise click.UsageError("at least two models are needed for an average; the last argument is the output")
    from sertk.errors import SertkError
    from sertk.models.averaging import average_models
    from sertk.models.modelfile import load_model, save_model

    if out.is_file() and load_model(out, heads=True).card.get("command") != "average-models":
        raise SertkError(f"{out}: exists and is not an averaged model; the last argument is the output")
    save_model(out, average_models(models))
    log.info("wrote %s, the average of %d models", out, len(models))
