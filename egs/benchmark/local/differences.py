#!/usr/bin/env python3
"""differences: the same system under several conditions, with paired differences from the first one."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.options import json_option
from sertk.cli.types import FOLDER
from sertk.datadir.records import write_json
from sertk.errors import SertkError
from sertk.scoring.columns import aligned
from sertk.scoring.groups import unit_words
from sertk.scoring.paired import compare, holm
from sertk.scoring.posteriors import guesses_of, read_runs
from sertk.scoring.stored import as_written, current_results
from sertk.scoring.systemcomparison import comparison_notes
from sertk.scoring.testset import Test, read_test
from sertk.scoring.text import p_value


@command
@click.argument("folds", metavar="FOLD-DIR", type=FOLDER)
@click.argument("conditions", metavar="NAME=DIR", nargs=-1, required=True)
@click.option("--title", default="", help="Start of the heading.")
@json_option
def main(folds, conditions, title, json_file):
    """Print WA and UA of each condition, and the differences from the first one, with 95 % intervals over speakers.

    A condition is a folder of scores with the results.json of score-loso; all have the segments of FOLD-DIR, which are
    paired. The folds are the first one's; those of the others may differ, which compare-scores refuses. p is that of
    compare-scores, corrected by Holm's method over the conditions. Stamps are those of each results.json.

    \b
    e.g.: local/differences.py exp/emodb/folds "speakers apart=exp/emodb/scratch" shared=exp/inflation/emodb/shared/scratch
    See also: compare-scores, score-loso
    """
    pairs = [condition.rpartition("=")[::2] for condition in conditions]
    if wrong := next((f"{name}={folder}" for name, folder in pairs if not name or not folder), None):
        raise click.UsageError(f"NAME=DIR: '{wrong}' is not that")
    test = read_test(folds / "utt2label", folds / "utt2fold", None)
    if len(pairs) < 2:
        raise click.UsageError("two conditions or more are needed")
    if "speaker" not in test.maps:
        raise SertkError(f"{folds}/utt2spk: is missing: intervals are over speakers")
    speakers = [test.maps["speaker"][key] for key in test.keys]
    guesses = [guesses_of(read_runs(folder, test.keys, test.labels)) for _, folder in pairs]
    results = [shown(Path(folder) / "results.json", test) for _, folder in pairs]
    comparisons = [
        compare(test.truth, guess, guesses[0], speakers, len(test.labels), test.fold) for guess in guesses[1:]
    ]
    rows = [
        {
            "name": name,
            "ua": found["pooled"]["ua"],
            "wa": found["pooled"]["wa"],
            "intervals": found["intervals"],
            "stamps": found["stamps"],
            "differences": {},
        }
        for (name, _), found in zip(pairs, results)
    ]
    for what in ("ua", "wa"):
        adjusted = holm([getattr(comparison, what).p for comparison in comparisons])
        for row, comparison, p in zip(rows[1:], comparisons, adjusted):
            difference = getattr(comparison, what)
            row["differences"][what] = {
                "value": difference.value,
                "interval": difference.interval,
                "p": difference.p,
                "holm": p,
            }
    units = unit_words("utt2spk", comparisons[0].clusters, comparisons[0].units)
    words = [title, f"{len(test.keys)} segments, {' '.join(test.labels)}; {units}"]
    lines = [": ".join(filter(None, words)), *aligned([headings(pairs), *map(cells, rows)])]
    lines += [note for note in comparison_notes(comparisons, "utt2spk") if not note.startswith("detectable")]
    if json_file:
        write_json(json_file, {"title": title, "units": units, "conditions": rows})
    click.echo("\n".join(lines))


def shown(path: Path, test: Test) -> dict:
    """What is shown of current results. Raises SertkError."""
    results = current_results(path, test, ("pooled", "stamps"), any_folds=True)
    with as_written(path):
        ends = results["intervals"][results["unit"]]
        return {**results, "intervals": {what: ends[what] for what in ("ua", "wa")}}


def headings(pairs: list[tuple[str, str]]) -> list[str]:
    """The first row."""
    p = "p (Holm)" if len(pairs) > 2 else "p"
    return ["pooled", "UA", "WA", f"UA - {pairs[0][0]}", "95 %", p, f"WA - {pairs[0][0]}", "95 %", p, ""]


def cells(row: dict) -> list[str]:
    """The row of a condition."""
    line = [row["name"], f"{100 * row['ua']:.1f}", f"{100 * row['wa']:.1f}"]
    for difference in row["differences"].values():
        low, high = difference["interval"]
        line += [
            f"{100 * difference['value']:+.1f}",
            f"{100 * low:+.1f} to {100 * high:+.1f}",
            p_value(difference["holm"]),
        ]
    return [*line, *["-"] * (9 - len(line)), ", ".join(row["stamps"])]


if __name__ == "__main__":
    main()
