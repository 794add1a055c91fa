"""make-report: the paper's tables and figures, ours beside those of others."""

import click

from sertk.cli.options import BOOL, FOLDER, command, log


@command
@click.argument("exp_dir", metavar="EXP-DIR", type=FOLDER)
@click.argument("out", metavar="OUT", type=FOLDER)
@click.option("--data", type=FOLDER, metavar="DIR",
              help="The data folder: for Fig. 2, transcripts, spectrograms, and breakdowns by speaker.")  # fmt: skip
@click.option("--mistakes", type=click.IntRange(0), default=20, show_default=True,
              help="How many of each experiment's most confident errors to show.")  # fmt: skip
@click.option("--audio", type=BOOL, default=False, show_default=True,
              help="Put the recordings of these into the page, where they may be copied.")  # fmt: skip
@click.option("--cards", type=BOOL, default=True, show_default=True, help="Read the cards in the models (slower).")
@click.option("--i-know", type=BOOL, default=False, show_default=True, help="Report in spite of a leak, stamped LEAKY.")
def main(exp_dir, out, **choices):
    """Write OUT/report.html, one self-contained page, and the same as OUT/report.md with OUT/figures.

    EXP-DIR is an experiment's folder, or a folder that holds some (exp1, exp1_scratch, exp2, resnet34): what
    score-loso --json, predict-emotion and the trainings left there. What is stamped there (SIMULATED, PARTIAL, LEAKY,
    SPEAKER-DEPENDENT) is so in the title of every table and figure.

    \b
    e.g.: make-report --data data/all exp exp/report
          make-report exp/exp1 exp/exp1/report
    See also: score-loso, compare-scores
    """
    if choices["audio"] and choices["data"] is None:
        raise click.UsageError("--audio true needs --data DIR: its wav.scp names the recordings")
    from sertk.report.build import Choices, build_report
    from sertk.report.render import write_report

    write_report(build_report(exp_dir, Choices(**choices)), out)
    log.info("wrote %s", out / "report.html")
