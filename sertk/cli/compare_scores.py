"""compare-scores: is one system better than another on the same segments?"""

import json

import click

from sertk.cli.options import BOOL, FILE, command, log, seed_option


@command
@click.argument("utt2label", metavar="UTT2LABEL", type=FILE)
@click.argument("first", metavar="A")
@click.argument("others", metavar="B...", nargs=-1, required=True)
@click.option("--labels", type=FILE, default=None, help="The labels' order.  [default: labels.txt beside UTT2LABEL]")
@click.option("--clusters", type=FILE, default=None, metavar="UTT2X",
              help="Exchange whole clusters of this map.  [default: speakers, of the utt2spk beside UTT2LABEL]")  # fmt: skip
@click.option("--json", "json_file", type=FILE, default=None, help="Write everything, as JSON, here too.")
@click.option("--stamp", multiple=True, metavar="WORD", help="A word for the headline: PARTIAL, …; may be repeated.")
@click.option(
    "--i-know", type=BOOL, default=False, show_default=True, help="Compare in spite of a leak, stamped LEAKY."
)
@seed_option
def main(utt2label, first, others, labels, clusters, json_file, stamp, i_know, seed):
    """Compare system A with each B on the same segments: differences in UA and WA with 95 % intervals, a permutation
    test that exchanges whole speakers, what this design could have shown, and McNemar's test.

    A and B are tables of posteriors or experiments' folders, as for score-loso; a folder of several training runs
    (seed0, seed1, …) is one system. UA at p < 0.05 decides; p is corrected with Holm over several B. The utt2fold
    beside UTT2LABEL must be what all were scored by.

    \b
    e.g.: compare-scores exp/folds/utt2label exp/transfer exp/scratch
          compare-scores --json c.json exp/folds/utt2label exp/transfer exp/scratch
    See also: score-loso
    """
    from sertk.atomic import atomic_file
    from sertk.scoring.evaluation import compare_systems
    from sertk.scoring.groups import UNGROUPED, UNGROUPED_LINE
    from sertk.scoring.text import comparison_text

    found = compare_systems(utt2label, [first, *others], labels, clusters, stamp, i_know, seed)
    for reason in found["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if UNGROUPED in found["stamps"]:
        log.warning(UNGROUPED_LINE)
    if json_file:
        with atomic_file(json_file, "w") as file:
            json.dump(found, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
    click.echo(comparison_text(found), nl=False)
