#!/usr/bin/env python3
"""compare: our results on EmoDB beside published baselines on the same folds."""

import json
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.errors import SertkError
from sertk.report.published import EMODB
from sertk.scoring.text import headline_interval, runs_words


@command
@click.argument("systems", nargs=-1, required=True, metavar="NAME=DIR…")
def main(systems):
    """Print WA and UA, with intervals, of the systems with a DIR/results.json, and of published baselines, by WA.

    \b
    e.g.: local/compare.py "fine-tuned=exp/emodb_finetune" "from scratch=exp/emodb_scratch"
    See also: score-loso
    """
    rows = [(row.system, row.wa, row.ua, "") for row in EMODB.rows]
    for system in systems:
        name, equals, folder = system.partition("=")
        if not (name and equals and folder):
            raise click.UsageError(f"'{system}' is not NAME=DIR")
        path = Path(folder) / "results.json"
        try:
            found = json.loads(path.read_text())
            name = " ".join(["sertk:", name, *found["stamps"]])
            claim = f"{runs_words(found['runs']['number'])}, {headline_interval(found)}"
            rows.append((name, 100 * found["mean"]["wa"], 100 * found["mean"]["ua"], claim))
        except FileNotFoundError:
            raise SertkError(f"{path}: is missing (an earlier stage makes it)") from None
        except (ValueError, KeyError, TypeError) as error:
            raise SertkError(f"{path}: not what score-loso --json writes: {error!r}") from None
    width = max(len(row[0]) for row in rows)
    print(f"{'EmoDB, four classes, five sessions, mean of the folds':{width}}     WA     UA")
    for name, wa, ua, claim in sorted(rows, key=lambda row: -row[1]):
        print(f"{name:{width}}  {wa:5.1f}  {ua:5.1f}  {claim}".rstrip())


if __name__ == "__main__":
    main()
