"""make-report: the paper's tables and figures, ours beside those of others."""

import click

from sertk.cli.options import BOOL, FOLDER, command, log


@command
@click.argument("exp_dir", metavar="EXP-DIR", type=FOLDER)
@click.argument("out", metavar="OUT", type=FOLDER)
@click.option("--i-know", type=BOOL, default=False, show_default=True, help="Report in spite of a leak, stamped LEAKY.")
def main(exp_dir, out, i_know):
    """Write OUT/report.html, one page that needs nothing else, and the same as OUT/report.md with OUT/figures.

    EXP-DIR is an experiment's folder, or a folder that holds some (exp1, exp1_scratch, exp2, resnet34): what
    score-loso --json, predict-emotion and the trainings left there.

    \b
    e.g.: make-report exp exp/report
          make-report exp/exp1 exp/exp1/report
    See also: score-loso, compare-scores
    """
    from sertk.report.build import build_report
    from sertk.report.render import write_report

    report = build_report(exp_dir, i_know)
    write_report(report, out)
    log.info("wrote %s", out / "report.html")
