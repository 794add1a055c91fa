#!/usr/bin/env python3
"""compare: our results on EmoDB beside published baselines on the same folds."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.types import FOLDER
from sertk.report.published import EMODB
from sertk.scoring.stored import as_written, current_results
from sertk.scoring.testset import read_test
from sertk.scoring.text import headline_interval, runs_words


@command
@click.argument("folds", metavar="FOLD-DIR", type=FOLDER)
@click.argument("systems", nargs=-1, required=True, metavar="NAME=DIR…")
def main(folds, systems):
    """Print WA and UA, with intervals, of the systems with a DIR/results.json, and of published baselines, by WA.

    The results must be of the folds in FOLD-DIR, and of the scores and models in DIR.

    \b
    e.g.: local/compare.py exp/emodb/folds "fine-tuned=exp/emodb_finetune" "from scratch=exp/emodb_scratch"
    See also: score-loso
    """
    test = read_test(folds / "utt2label", folds / "utt2fold", None)
    rows = [(row.system, row.wa, row.ua, "") for row in EMODB.rows]
    for system in systems:
        name, equals, folder = system.partition("=")
        if not (name and equals and folder):
            raise click.UsageError(f"'{system}' is not NAME=DIR")
        path = Path(folder) / "results.json"
        found = current_results(path, test, ("mean", "stamps"))
        with as_written(path):
            name = " ".join(["sertk:", name, *found["stamps"]])
            claim = f"{runs_words(found['runs']['number'])}, {headline_interval(found)}"
            rows.append((name, 100 * found["mean"]["wa"], 100 * found["mean"]["ua"], claim))
    width = max(len(row[0]) for row in rows)
    print(f"{'EmoDB, four classes, five sessions, mean of the folds':{width}}     WA     UA")
    for name, wa, ua, claim in sorted(rows, key=lambda row: -row[1]):
        print(f"{name:{width}}  {wa:5.1f}  {ua:5.1f}  {claim}".rstrip())


if __name__ == "__main__":
    main()
