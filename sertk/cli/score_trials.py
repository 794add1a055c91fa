"""score-trials: equal error rate, detection costs and calibration of speaker trials."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sertk.cli.command import command
from sertk.cli.generated import options_of
from sertk.cli.messages import log
from sertk.cli.options import i_know_option, json_option, max_skip_option, only_for, stamp_option
from sertk.cli.types import FILE, PRIORS, RSPECIFIER
from sertk.options import take_options
from sertk.scoring.options import P_TARGETS, CalibrationOptions, NormOptions

if TYPE_CHECKING:
    from sertk.kaldi.specifiers import Rspecifier


@command
@click.argument("trials", metavar="TRIALS", type=FILE)
@click.argument("embeddings", metavar="EMBEDDINGS-R", type=RSPECIFIER)
@click.option(
    "--mean",
    type=RSPECIFIER,
    default=None,
    metavar="VECTORS-R",
    help="Subtract the mean of these vectors, e.g. of the training embeddings.",
)
@options_of(NormOptions, "Normalisation by a cohort")
@options_of(CalibrationOptions, "Calibration")
@click.option(
    "--utt2spk",
    type=FILE,
    default=None,
    help="Speakers of the trials, which must not be in the training data.  "
    "[default: utt2spk beside TRIALS, or VoxCeleb's file names]",
)
@click.option(
    "--p-target",
    type=PRIORS,
    default=P_TARGETS,
    help="Priors of the detection costs.  [default: 0.01,0.05]",
)
@click.option("--scores", type=FILE, default=None, help="Also write lines `utt1 utt2 score` to this file.")
@click.option("--det", type=FILE, default=None, help="Also draw the DET curve: .png, .svg or .pdf.")
@json_option
@stamp_option
@i_know_option
@max_skip_option
def main(
    trials: Path,
    embeddings: "Rspecifier",
    mean: "Rspecifier | None",
    utt2spk: Path | None,
    p_target: tuple[float, ...],
    scores: Path | None,
    det: Path | None,
    json_file: Path | None,
    stamp: tuple[str, ...],
    i_know: bool,
    max_skip: float,
    **options: Any,
) -> None:
    """Print EER, minDCF and minCllr of the trials' cosine scores, with intervals by speakers.

    TRIALS is in Kaldi's format (utt1 utt2 target|nontarget) or VoxCeleb's (1 id…/…/00001.wav id…/…/00002.wav). Trials
    without an embedding are counted and skipped. Trials with a training utterance or speaker of the network are an error. Stamps
    of the data folder (PARTIAL, SIMULATED, … beside TRIALS) are added to the line.

    --cohort normalises the scores (AS-Norm). --calibration-trials makes them log-likelihood ratios, of which actDCF and
    Cllr are printed too. Neither may have speakers of TRIALS.

    \b
    e.g.: score-trials data/voxceleb1_test/trials scp:exp/resnet34/test.scp
          score-trials --mean scp:exp/resnet34/train.scp data/voxceleb1_test/trials scp:exp/resnet34/test.scp
          score-trials --cohort scp:exp/resnet34/train.scp --det det.png data/voxceleb1_test/trials \\
            scp:exp/resnet34/test.scp
    See also: embed-segments, compare-scores
    """
    only_for("--cohort", options["cohort"], "cohort_utt2spk", "top_n", "norm_side", options=options)
    only_for(
        "--calibration-trials", options["calibration_trials"], "calibration_embeddings", "quality", options=options
    )
    only_for("--quality duration", "duration" in (options["quality"] or ()), "utt2dur", options=options)
    norm, calibration = take_options(NormOptions, options), take_options(CalibrationOptions, options)
    from sertk.atomic import atomic_file
    from sertk.datadir.folder import STAMPS
    from sertk.datadir.records import write_json
    from sertk.scoring.verification import as_line, score

    if det:
        from sertk.report.drawing import check_format, in_format

        check_format(det)

    stamps = [*stamp, *(word for word in STAMPS if (trials.parent / word).exists())]
    results, scored = score(trials, embeddings, mean, utt2spk, stamps, i_know, max_skip, p_target, norm, calibration)
    for name in results["missing"][:5]:
        log.warning("%s: no embedding", name)
    if results["missing"]:
        log.warning("%d utterances have no embedding: %d trials left out", len(results["missing"]), results["left_out"])
    if norm.cohort and results["norm"]["top_n"] < norm.top_n:
        log.warning("the cohort has %d vectors, fewer than --top-n=%d", results["norm"]["size"], norm.top_n)
    for reason in results["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if scores:
        from sertk.scoring.trialscores import write_scores

        write_scores(scores, scored, results)
    if det:
        from sertk.report.det import det_figure

        picture = det_figure({str(embeddings): scored.of_kinds()}, results["stamps"])
        with atomic_file(det) as file:
            file.write(in_format(picture, det.suffix))
    if json_file:
        write_json(json_file, results)
    click.echo(as_line(results))
