"""score-loso: weighted and unweighted accuracy of emotion posteriors, fold by fold."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import i_know_option, json_option, labels_option, seed_option, stamp_option
from sertk.cli.types import FILE, FOLDER


@command
@click.argument("utt2label", metavar="UTT2LABEL", type=FILE)
@click.argument("utt2fold", metavar="UTT2FOLD", type=FILE)
@click.argument("posteriors", metavar="POSTERIORS-R")
@labels_option
@json_option
@click.option(
    "--clusters",
    type=FILE,
    multiple=True,
    metavar="UTT2X",
    help="Also give intervals clustered by this map; repeatable.  "
    "[default: speakers and sessions, if their maps are beside UTT2FOLD]",
)
@click.option(
    "--intervals",
    "method",
    type=click.Choice(["jackknife", "bootstrap"]),
    default="jackknife",
    show_default=True,
    help="Method of the confidence intervals; --seed is the bootstrap's and the permutations'.",
)
@click.option(
    "--by", type=FILE, multiple=True, metavar="UTT2X", help="Break down by the values of this map; repeatable."
)
@click.option(
    "--data",
    type=FOLDER,
    metavar="DIR",
    help="Break down by the maps of this data folder (gender, age, race, improvised or scripted, rater agreement, length, "
    "speaker), and compare the posteriors with its rater votes (utt2votes).",
)
@stamp_option
@i_know_option
@seed_option
def main(
    utt2label: Path,
    utt2fold: Path,
    posteriors: str,
    labels: Path | None,
    json_file: Path | None,
    clusters: tuple[Path, ...],
    by: tuple[Path, ...],
    data: Path | None,
    stamp: tuple[str, ...],
    i_know: bool,
    method: str,
    seed: int,
) -> None:
    """Print WA, UA and macro-F1 of every fold, their mean and the pooled figures, intervals, confusion and calibration.

    POSTERIORS-R is a table, or an experiment folder with 1/scores.ark, 2/scores.ark, …, whose manifests are used to check
    that no model was trained on its test data. A folder of several training runs (seed0/1/scores.ark, …,
    seed1/1/scores.ark, …) is scored as one system: means over runs, with intervals that hold for new speakers and new
    seeds. Every segment of UTT2LABEL must be in UTT2FOLD and be scored once.

    \b
    e.g.: score-loso exp/folds/utt2label exp/folds/utt2fold exp/exp1
          score-loso --data data/all --json results.json \\
            exp/folds/utt2label exp/folds/utt2fold "ark:cat exp/exp1/*/scores.ark |"
    See also: make-folds, predict-emotion, compare-scores
    """
    from sertk.datadir.records import write_json
    from sertk.scoring.evaluation import score_folder
    from sertk.scoring.groups import UNGROUPED, UNGROUPED_LINE
    from sertk.scoring.text import as_text

    results = score_folder(utt2label, utt2fold, posteriors, labels, clusters, by, data, stamp, i_know, method, seed)
    if UNGROUPED in results["stamps"]:
        log.warning(UNGROUPED_LINE)
    for reason in results["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if json_file:
        write_json(json_file, results)
    click.echo(as_text(results), nl=False)
