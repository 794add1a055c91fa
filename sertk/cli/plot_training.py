"""plot-training: how trainings went, in one picture."""

import click

from sertk.cli.options import FILE, FOLDER, command, log


@command
@click.argument("dirs", metavar="DIR...", type=FOLDER, nargs=-1, required=True)
@click.argument("out", metavar="OUT", type=FILE)
def main(dirs, out):
    """Draw loss, accuracy, learning rate and speed over the epochs of one run or several, from their train.jsonl.

    DIR is what train-resnet or transfer-head wrote; of a folder of folds the mean is drawn over them. OUT ends in .png
    or .pdf. A run may still be going on.

    \b
    e.g.: plot-training exp/resnet34 exp/resnet34/training.png
          plot-training exp/transfer exp/scratch training.pdf
    See also: train-resnet, transfer-head, make-report
    """
    if out.suffix not in (".png", ".pdf"):
        raise click.UsageError(f"'{out}': a picture ends in .png or .pdf")
    from sertk.atomic import atomic_file
    from sertk.report.curves import read_runs, runs_figure

    picture = runs_figure(read_runs(dirs))
    with atomic_file(out) as file:
        file.write(getattr(picture, out.suffix[1:]))
    log.info("wrote %s", out)
