"""compare-scores: paired comparison of systems on the same segments, or on the same speaker trials."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import i_know_option, json_option, labels_option, only_for, seed_option, stamp_option
from sertk.cli.types import FILE


@command
@click.argument("utt2label", metavar="UTT2LABEL|TRIALS", type=FILE)
@click.argument("first", metavar="A")
@click.argument("others", metavar="B…", nargs=-1, required=True)
@labels_option
@click.option(
    "--clusters",
    type=FILE,
    default=None,
    metavar="UTT2X",
    help="Permute whole clusters of this map.  [default: speakers, if utt2spk is beside UTT2LABEL]",
)
@click.option("--det", type=FILE, default=None, help="Also draw the DET curves of trial scores: .png, .svg or .pdf.")
@json_option
@stamp_option
@i_know_option
@seed_option
def main(
    utt2label: Path,
    first: str,
    others: tuple[str, ...],
    labels: Path | None,
    clusters: Path | None,
    det: Path | None,
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

    On a trial list, A and B are score files of score-trials --scores: differences in EER, minDCF (and Cllr of calibrated
    scores) with intervals and a t-test over speakers; EER decides. --clusters is their utt2spk, if it is not beside TRIALS.

    \b
    e.g.: compare-scores exp/folds/utt2label exp/transfer exp/scratch
          compare-scores --json c.json exp/folds/utt2label exp/transfer exp/scratch
          compare-scores --det det.png data/voxceleb1_test/trials exp/resnet34/asnorm.scores exp/resnet34/plain.scores
    See also: score-loso, score-trials
    """
    from sertk.datadir.records import write_json
    from sertk.scoring.groups import UNGROUPED, UNGROUPED_LINE
    from sertk.scoring.systemcomparison import compare_systems
    from sertk.scoring.text import comparison_text
    from sertk.scoring.trials import is_trial_list

    on_trials = is_trial_list(utt2label)
    only_for("emotions, not for a trial list", not on_trials, "labels")
    only_for("a trial list", on_trials, "det")
    if on_trials:
        results, text = _compare_trials(utt2label, [Path(first), *map(Path, others)], clusters, stamp, i_know, det)
    else:
        results = compare_systems(utt2label, [first, *others], labels, clusters, stamp, i_know, seed)
        text = comparison_text(results)
    for reason in results["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if UNGROUPED in results["stamps"]:
        log.warning(UNGROUPED_LINE)
    if json_file:
        write_json(json_file, results)
    click.echo(text, nl=False)


def _compare_trials(
    trials: Path, sources: list[Path], utt2spk: Path | None, stamp: tuple[str, ...], i_know: bool, det: Path | None
) -> tuple[dict, str]:
    """Results of a comparison on trials, and their text; draws the DET curves."""
    from sertk.atomic import atomic_file
    from sertk.datadir.folder import STAMPS
    from sertk.scoring.trialcomparison import compare_trials, trial_comparison_text

    if det:
        from sertk.report.det import det_figure
        from sertk.report.drawing import check_format, in_format

        check_format(det)
    stamps = [*stamp, *(word for word in STAMPS if (trials.parent / word).exists())]
    results, systems = compare_trials(trials, sources, utt2spk, stamps, i_know)
    if det:
        curves = {s.source: (s.scores[s.target], s.scores[~s.target]) for s in systems}
        with atomic_file(det) as file:
            file.write(in_format(det_figure(curves, results["stamps"]), det.suffix))
    return results, trial_comparison_text(results)
