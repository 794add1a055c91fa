"""score-loso: weighted and unweighted accuracy of emotion posteriors, fold by fold."""

import json

import click

from sertk.cli.options import BOOL, FILE, FOLDER, command, log, seed_option


@command
@click.argument("utt2label", metavar="UTT2LABEL", type=FILE)
@click.argument("utt2fold", metavar="UTT2FOLD", type=FILE)
@click.argument("posteriors", metavar="POSTERIORS-R")
@click.option("--labels", type=FILE, default=None, help="The labels' order.  [default: labels.txt beside UTT2LABEL]")
@click.option("--json", "json_file", type=FILE, default=None, help="Write everything, as JSON, here too.")
@click.option("--clusters", type=FILE, multiple=True, metavar="UTT2X",
              help="Intervals by the clusters of this map too; may be repeated.  [default: speakers and sessions, of the "
                   "maps beside UTT2FOLD]")  # fmt: skip
@click.option("--intervals", "method", type=click.Choice(["jackknife", "bootstrap"]), default="jackknife",
              show_default=True, help="How intervals are made; only the bootstrap draws with --seed.")  # fmt: skip
@click.option("--by", type=FILE, multiple=True, metavar="UTT2X", help="Break down by a map's values; may be repeated.")
@click.option("--data", type=FOLDER, metavar="DIR",
              help="Break down by what this data folder knows: gender, improvised or scripted, raters' agreement, length, "
                   "speaker; and hold the posteriors against the raters' votes (utt2votes).")  # fmt: skip
@click.option("--stamp", multiple=True, metavar="WORD", help="A word for the headline: PARTIAL, …; may be repeated.")
@click.option("--i-know", type=BOOL, default=False, show_default=True, help="Score in spite of a leak, stamped LEAKY.")
@seed_option
def main(utt2label, utt2fold, posteriors, labels, json_file, clusters, by, data, stamp, i_know, method, seed):
    """Print WA, UA and macro-F1 of every fold, their mean and the pooled figures, intervals, confusion and calibration.

    POSTERIORS-R is a table, or an experiment's folder with 1/scores.ark, 2/scores.ark, …: so each fold's manifest is
    found, and what its model was trained on is checked against what it is tested on. A folder of several training runs
    (seed0/1/scores.ark, …, seed1/1/scores.ark, …) is scored as one system: the mean over the runs, with intervals that
    hold for other speakers and other seeds. Every segment of UTT2LABEL must be in UTT2FOLD and be scored once.

    \b
    e.g.: score-loso exp/folds/utt2label exp/folds/utt2fold exp/exp1
          score-loso --data data/all --json results.json \\
            exp/folds/utt2label exp/folds/utt2fold "ark:cat exp/exp1/*/scores.ark |"
    See also: make-folds, predict-emotion, compare-scores
    """
    from sertk.atomic import atomic_file
    from sertk.scoring.evaluation import score_folder
    from sertk.scoring.groups import UNGROUPED, UNGROUPED_LINE
    from sertk.scoring.text import as_text

    found = score_folder(utt2label, utt2fold, posteriors, labels, clusters, by, data, stamp, i_know, method, seed)
    if UNGROUPED in found["stamps"]:
        log.warning(UNGROUPED_LINE)
    for reason in found["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if json_file:
        with atomic_file(json_file, "w") as file:
            json.dump(found, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
    click.echo(as_text(found), nl=False)
