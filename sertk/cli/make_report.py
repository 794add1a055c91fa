"""make-report: the paper's tables and figures from an experiment folder, beside published results."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import i_know_option
from sertk.cli.types import BOOL, FOLDER


@command
@click.argument("exp_dir", metavar="EXP-DIR", type=FOLDER)
@click.argument("out", metavar="OUT", type=FOLDER)
@click.option(
    "--data",
    type=FOLDER,
    metavar="DIR",
    help="Data folder, for spectrograms, examples of the masks, transcripts, and breakdowns by subgroup.",
)
@click.option(
    "--mistakes",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Number of most confident errors to list for each experiment.",
)
@click.option(
    "--audio",
    type=BOOL,
    default=False,
    show_default=True,
    help="Embed the audio of these errors in the page; readers can copy it.",
)
@click.option("--cards", type=BOOL, default=True, show_default=True, help="Read run cards from the models (slower).")
@click.option(
    "--against",
    metavar="SYSTEM",
    help="Folder of the system that the others are compared with.  [default: the one without transfer, else the first]",
)
@i_know_option
def main(
    exp_dir: Path,
    out: Path,
    data: Path | None,
    mistakes: int,
    audio: bool,
    cards: bool,
    against: str | None,
    i_know: bool,
) -> None:
    """Write OUT/report.html, one self-contained page, and the same as OUT/report.md with OUT/figures.

    EXP-DIR is an experiment folder, or a folder of several (exp1, exp1_scratch, exp2, resnet34), with the outputs of
    score-loso --json, predict-emotion and training. Stamps (SIMULATED, PARTIAL, LEAKY, SPEAKER-DEPENDENT) are repeated in
    the title of every table and figure.

    \b
    e.g.: make-report --data data/all exp exp/report
          make-report exp/exp1 exp/exp1/report
          make-report --against exp1 exp exp/report
    See also: score-loso, compare-scores
    """
    if audio and data is None:
        raise click.UsageError("--audio true needs --data DIR: its wav.scp names the recordings")
    from sertk.report.build import Choices, build_report
    from sertk.report.render import write_report

    write_report(build_report(exp_dir, Choices(data, mistakes, audio, cards, i_know, against)), out)
    log.info("wrote %s", out / "report.html")
