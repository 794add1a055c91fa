"""plot-training: learning curves of training runs."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.types import FILE, FOLDER


@command
@click.argument("dirs", metavar="DIR…", type=FOLDER, nargs=-1, required=True)
@click.argument("out", metavar="OUT", type=FILE)
def main(dirs: tuple[Path, ...], out: Path) -> None:
    """Plot loss, accuracy, learning rate and speed over the epochs of training runs, from their train.jsonl.

    DIR is the folder of train-resnet or transfer-head; for a folder of folds their mean is plotted too. OUT ends in .png,
    .svg or .pdf. A run may still be in progress.

    \b
    e.g.: plot-training exp/resnet34 exp/resnet34/training.png
          plot-training exp/transfer exp/scratch training.pdf
    See also: train-resnet, transfer-head, make-report
    """
    from sertk.atomic import atomic_file
    from sertk.report.curves import read_runs, runs_figure
    from sertk.report.drawing import check_format, in_format

    check_format(out)
    figure = runs_figure(read_runs(dirs))
    with atomic_file(out) as file:
        file.write(in_format(figure, out.suffix))
    log.info("wrote %s", out)
