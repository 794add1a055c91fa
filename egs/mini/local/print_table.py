#!/usr/bin/env python3
"""print-table: the results of all experiments side by side, with transfer and without."""

import click

from sertk.cli.command import command
from sertk.cli.types import FOLDER
from sertk.errors import SertkError
from sertk.scoring.stored import as_written, current_results, current_trials
from sertk.scoring.testset import read_test

CLASSES = {"1": "ang hap neu sad", "2": "ang exc neu sad", "3": "ang hap+exc neu sad"}


@command
@click.argument("work", metavar="WORK-DIR", type=FOLDER)
def main(work):
    """Print WA and UA of the experiments in WORK-DIR/iemocap, and the equal error rate of the speaker network.

    Results must be of the folds, trials, scores and models that are there.

    \b
    e.g.: local/print_table.py exp
    See also: score-loso, score-trials
    """
    network, trials = work / "voxceleb/exp/resnet34_lm", work / "voxceleb/data/test/trials_O"
    plain, normalised = (
        current_trials(network / f"trials/{name}.json", trials, network / f"trials/{name}.scores", network / "final.pt")
        for name in ("O", "O_asnorm")
    )
    rows = [row(work / "iemocap" / "exp", number) for number in CLASSES]
    if not any(rows):
        raise SertkError(f"{work}/iemocap/exp: no results")
    click.echo("SIMULATED speech: these figures show that the recipes work; they say nothing about people.\n")
    click.echo(f"Speakers: equal error rate {100 * plain['eer']:.2f} % over {plain['trials']} trials, "
               f"{100 * normalised['eer']:.2f} % with AS-Norm")  # fmt: skip
    click.echo("Emotions: mean over five held-out sessions in %; chance is UA 25.0\n")
    click.echo(f"{'SIMULATED':28}{'transfer':>14}{'no transfer':>16}")
    click.echo(f"{'':28}{'WA':>7}{'UA':>7}{'WA':>9}{'UA':>7}")
    for line in filter(None, rows):
        click.echo(line)


def row(experiments, number: str) -> str | None:
    """Return a row of the table; None if experiment `number` was not run."""
    line = f"Exp {number}: {CLASSES[number]:21}"
    for name, width in ((f"exp{number}", 7), (f"exp{number}_scratch", 9)):
        path, folds = experiments / name / "results.json", experiments / f"exp{number}" / "folds"
        if not path.exists():
            return None
        test = read_test(folds / "utt2label", folds / "utt2fold", None)
        found = current_results(path, test, ("mean", "stamps"))
        if "SIMULATED" not in found["stamps"]:
            raise SertkError(f"{path}: is not stamped SIMULATED: not a result of simulated speech")
        with as_written(path):
            line += f"{100 * found['mean']['wa']:{width}.1f}{100 * found['mean']['ua']:7.1f}"
    return line


if __name__ == "__main__":
    main()
