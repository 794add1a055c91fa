#!/usr/bin/env python3
"""table: systems x corpora, with intervals over speakers and paired tests against one system."""

from pathlib import Path

import click

from sertk.atomic import atomic_file
from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import json_option
from sertk.cli.types import FOLDER
from sertk.datadir.records import write_json
from sertk.errors import SertkError
from sertk.scoring.columns import aligned
from sertk.scoring.groups import unit_words
from sertk.scoring.paired import ALPHA
from sertk.scoring.stored import current_results
from sertk.scoring.systemcomparison import compare_systems
from sertk.scoring.testset import read_test
from sertk.scoring.text import comparison_text, p_value, runs_words

# Entries of results.json that the table shows.
NEEDED = ("mean", "pooled", "intervals", "unit", "stamps", "title", "runs", "segments", "folds", "scheme")


@command
@click.argument("exp", type=FOLDER)
@click.argument("corpora", nargs=-1, required=True)
@click.option("--against", metavar="SYSTEM", help="System that the others are tested against.  [default: none]")
@json_option
def main(exp, corpora, against, json_file):
    """Print WA and UA of every system in EXP/CORPUS, with the 95 % interval of UA and its difference from --against.

    A row per corpus and system, by UA. p is corrected by Holm's method for the systems of a corpus. Details of the tests are
    written to EXP/CORPUS/COMPARE.

    \b
    e.g.: local/table.py --against opensmile-compare exp emodb ravdess
    See also: score-loso, compare-scores
    """
    tables, lines = {}, []
    for corpus in corpora:
        # Those of all systems, also of earlier calls.
        paths = sorted((exp / corpus).glob("*/results.json"))
        if not paths:
            raise SertkError(f"{exp / corpus}: no results.json of a system (stage 4 makes them)")
        test = read_test(exp / corpus / "folds/utt2label", exp / corpus / "folds/utt2fold", None)
        found = {path.parent.name: current_results(path, test, NEEDED) for path in paths}
        tables[corpus] = {"systems": found, "comparison": compared(exp / corpus, found, against)}
        lines += [*corpus_lines(corpus, tables[corpus], against), ""]
    lines.append(f"UA and WA are means over folds in %; intervals are of the pooled UA; * significant at {ALPHA}")
    if json_file:
        write_json(json_file, tables)
    click.echo("\n".join(lines))


def compared(folder: Path, systems: dict, against: str | None) -> dict:
    """Compare a system with all others: system -> difference in UA, its interval and p; {} if it is not there."""
    others = [name for name in systems if name != against]
    if against and against not in systems:
        log.warning("%s: no %s to test against", folder, against)
    if against not in systems or not others:
        return {}
    # Leaks and selection on the test set are stamped in the systems' own rows.
    comparison = compare_systems(
        folder / "folds/utt2label", [str(folder / name) for name in (against, *others)], i_know=True
    )
    with atomic_file(folder / "COMPARE", "w") as file:
        file.write(comparison_text(comparison))
    return {
        name: {
            "difference": 0.0 - row["ua"]["value"],
            "interval": [-end for end in reversed(row["ua"]["interval"])],
            "p": row["holm"]["ua"],
        }
        for name, row in zip(others, comparison["comparisons"])
    }


def corpus_lines(corpus: str, table: dict, against: str | None) -> list[str]:
    """The rows of a corpus, best UA first."""
    systems, comparison = table["systems"], table["comparison"]
    first = next(iter(systems.values()))
    ends = first["intervals"][first["unit"]]
    # What is said of all systems stands in the heading.
    shared = [word for word in first["stamps"] if all(word in found["stamps"] for found in systems.values())]
    scheme = f"{len(first['folds'])} folds, {first['scheme']}"
    units = unit_words(first["unit"], ends["clusters"], ends["units"])
    labels = " ".join(first["labels"])
    head = " ".join([f"{corpus}: {first['segments']} segments, {labels}; {scheme}; {units}", *shared])
    p = "p (Holm)" if len(comparison) > 1 else "p"
    rows = [["", "UA", "95 %", "WA", *([f"UA - {against}", "95 %", p] if comparison else [])]]
    for name, found in sorted(systems.items(), key=lambda item: -item[1]["mean"]["ua"]):
        row = [name, f"{100 * found['mean']['ua']:.1f}", span(found["intervals"][found["unit"]]["ua"]),
               f"{100 * found['mean']['wa']:.1f}"]  # fmt: skip
        if comparison:
            test = comparison.get(name)
            difference = f"{100 * test['difference']:+.1f}{'*' * (test['p'] < ALPHA)}" if test else "-"
            row += [difference, span(test["interval"]) if test else "-", p_value(test["p"]) if test else "-"]
        runs = found["runs"]["number"]
        words = [*([runs_words(runs)] if runs > 1 else []), *(word for word in found["stamps"] if word not in shared)]
        words += [word for word in found["title"] if word.startswith(("leaks", "epoch"))]
        rows.append([*row, ", ".join(words)])
    rows[0].append("")
    return [head, *(line.rstrip() for line in aligned(rows))]


def span(ends: list) -> str:
    """An interval in per cent."""
    return "-" if None in ends else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


if __name__ == "__main__":
    main()
