"""average-models: the mean of several models' weights."""

import click

from sertk.cli.options import FILE, command, log


@command
@click.argument("models", metavar="MODEL...", type=FILE, nargs=-1, required=True)
@click.argument("out", metavar="OUT", type=FILE)
def main(models, out):
    """Write a model whose weights are the mean of those of some models of one network: the last epochs of a run.

    train-resnet --keep N leaves these. BatchNorm's statistics are averaged too. What the mean was trained on is all that
    any of them was.

    \b
    e.g.: average-models exp/resnet34/epoch.18.pt exp/resnet34/epoch.19.pt exp/resnet34/epoch.20.pt exp/resnet34/mean.pt
    See also: train-resnet, predict-emotion, embed-segments
    """
    if len(models) < 2:
        raise click.UsageError("a mean takes two models at least")
    from sertk.errors import SertkError
    from sertk.models.averaging import average_models
    from sertk.models.modelfile import load_model, save_model

    if out.is_file() and load_model(out).card.get("command") != "average-models":
        raise SertkError(f"{out}: is a model that is no mean: the last name is where the mean goes")
    save_model(out, average_models(models))
    log.info("wrote %s, the mean of %d models", out, len(models))
