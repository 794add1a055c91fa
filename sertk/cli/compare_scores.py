"""compare-scores: paired comparison of systems on the same segments."""

import json
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import seed_option
from sertk.cli.types import BOOL, FILE


@command
@click.argument("utt2label", metavar="UTT2LABEL", type=FILE)
@click.argument("first", metavar="A")
@click.argument("others", metavar="B…", nargs=-1, required=True)
@click.option(
    "--labels",
    type=FILE,
    default=None,
    help="Class names, in the order of the posteriors.  [default: labels.txt beside UTT2LABEL]",
)
@click.option(
    "--clusters",
    type=FILE,
    default=None,
    metavar="UTT2X",
    help="Permute whole clusters of this map.  [default: speakers, if utt2spk is beside UTT2LABEL]",
)
@click.option("--json", "json_file", type=FILE, default=None, help="Also write all results to this file, as JSON.")
@click.option("--stamp", multiple=True, metavar="WORD", help="Add a word to the headline (PARTIAL, …); repeatable.")
@click.option("--i-know", type=BOOL, default=False, show_default=True, help="Compare despite a leak, stamped LEAKY.")
@seed_option
def main(
    utt2label: Path,
    first: str,
    others: tuple[str, ...],
    labels: Path | None,
    clusters: Path | None,
    json_file: Path | None,
    stamp: tuple[str, ...],
    i_know: bool,
    seed: int,
) -> None:
    """Compare system A with each B on the same segments.

    Prints differences in UA and WA with 95 % intervals, p-values of a permutation test over whole speakers and a
    clustered t-test, the minimum detectable difference, and McNemar's test.

    A and B are tables of posteriors or experiment folders, as for score-loso; a folder of several training runs (seed0,
    seed1, …) is one system. UA at p < 0.05 decides; with several B, p is corrected by Holm's method. All systems must
    have been scored with the folds of the utt2fold beside UTT2LABEL.

    \b
    e.g.: compare-scores exp/folds/utt2label exp/transfer exp/scratch
          compare-scores --json c.json exp/folds/utt2label exp/transfer exp/scratch
    See also: score-loso
    """
    from sertk.atomic import atomic_file
    from sertk.scoring.evaluation import compare_systems
    from sertk.scoring.groups import UNGROUPED, UNGROUPED_LINE
    from sertk.scoring.text import comparison_text

    results = compare_systems(utt2label, [first, *others], labels, clusters, stamp, i_know, seed)
    for reason in results["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if UNGROUPED in results["stamps"]:
        log.warning(UNGROUPED_LINE)
    if json_file:
        with atomic_file(json_file, "w") as file:
            json.dump(results, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
    click.echo(comparison_text(results), nl=False)
