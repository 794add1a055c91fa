#!/usr/bin/env python3
"""cross-table: systems trained on one corpus and tested on another, as matrices with intervals."""

import click

from sertk.cli.command import command
from sertk.cli.options import json_option
from sertk.cli.types import FOLDER
from sertk.datadir.records import write_json
from sertk.errors import SertkError
from sertk.scoring.columns import aligned
from sertk.scoring.stored import as_written, current_results
from sertk.scoring.testset import read_test

TESTED = "tested_on_"


@command
@click.argument("cross", metavar="EXP/cross", type=FOLDER)
@json_option
def main(cross, json_file):
    """Print the UA of every system for every pair of corpora: rows are trained on, columns tested on.

    Below each UA is its 95 % interval over the speakers of the tested corpus, given the one network that was trained.

    \b
    e.g.: local/cross_table.py exp/cross
    See also: score-loso
    """
    cells, labels = {}, {}
    for path in sorted(cross.glob(f"*/*/{TESTED}*.json")):
        tested = path.stem.removeprefix(TESTED)
        folds = path.parent.parent / f"folds.{tested}"
        test = read_test(folds / "utt2label", folds / "utt2fold", None)
        found = current_results(path, test, ("pooled", "stamps"), path.with_suffix(".scores"))
        with as_written(path):
            names = path.parent.parent.name.split("-")
            trained = names[names[0] == tested]
            cells.setdefault(path.parent.name, {})[trained, tested] = {
                "ua": found["pooled"]["ua"],
                "wa": found["pooled"]["wa"],
                "interval": found["intervals"][found["unit"]]["ua"],
                "stamps": found["stamps"],
            }
            labels[frozenset((trained, tested))] = " ".join(found["labels"])
    if not cells:
        raise SertkError(f"{cross}: no results (run.sh --cross true makes them)")
    lines = ["UA in %, with its 95 % interval over the tested speakers; rows: trained on, columns: tested on", ""]
    for names, shared in sorted(labels.items(), key=lambda item: sorted(item[0])):
        lines.append(f"{' and '.join(sorted(names))} share {shared}: chance {100 / len(shared.split()):.1f}")
    for system, found in cells.items():
        corpora = sorted({name for pair in found for name in pair})
        rows = [[system, *corpora]]
        for trained in corpora:
            row = [found.get((trained, tested)) for tested in corpora]
            rows.append([trained, *("-" if cell is None else cell_text(cell) for cell in row)])
        lines += ["", *(line.rstrip() for line in aligned(rows))]
    if json_file:
        plain = {
            system: [{"trained_on": pair[0], "tested_on": pair[1], **cell} for pair, cell in found.items()]
            for system, found in cells.items()
        }
        write_json(json_file, plain)
    click.echo("\n".join(lines))


def cell_text(cell):
    """A UA with its interval and stamps."""
    ends = "" if None in cell["interval"] else " ({:.1f} to {:.1f})".format(*(100 * end for end in cell["interval"]))
    return " ".join([f"{100 * cell['ua']:.1f}{ends}", *cell["stamps"]])


if __name__ == "__main__":
    main()
