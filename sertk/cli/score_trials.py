"""score-trials: equal error rate and detection cost of speaker trials."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.options import max_skip_option
from sertk.cli.types import BOOL, FILE, RSPECIFIER

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
@click.option(
    "--utt2spk",
    type=FILE,
    default=None,
    help="Speakers of the trials, which must not be in the training data.  "
    "[default: utt2spk beside TRIALS, or VoxCeleb's file names]",
)
@click.option("--json", "json_file", type=FILE, default=None, help="Also write the results to this file, as JSON.")
@click.option("--stamp", multiple=True, metavar="WORD", help="Add a word to the line (SIMULATED, …); repeatable.")
@click.option("--i-know", type=BOOL, default=False, show_default=True, help="Score despite a leak, stamped LEAKY.")
@max_skip_option
def main(
    trials: Path,
    embeddings: "Rspecifier",
    mean: "Rspecifier | None",
    utt2spk: Path | None,
    json_file: Path | None,
    stamp: tuple[str, ...],
    i_know: bool,
    max_skip: float,
) -> None:
    """Print the EER and minDCF (p_target 0.01 and 0.05) of the trials' cosine scores.

    TRIALS is in Kaldi's format (utt1 utt2 target|nontarget) or VoxCeleb's (1 id…/…/00001.wav id…/…/00002.wav). Trials
    without an embedding are counted and skipped. Trials with a training utterance or speaker of the network are an error. Stamps
    of the data folder (PARTIAL, SIMULATED, … beside TRIALS) are added to the line.

    \b
    e.g.: score-trials data/voxceleb1_test/trials scp:exp/resnet34/test.scp
          score-trials --mean scp:exp/resnet34/train.scp data/voxceleb1_test/trials scp:exp/resnet34/test.scp
    See also: embed-segments
    """
    from sertk.atomic import atomic_file
    from sertk.datadir.folder import STAMPS
    from sertk.scoring.verification import as_line, score

    stamps = [*stamp, *(word for word in STAMPS if (trials.parent / word).exists())]
    results = score(trials, embeddings, mean, utt2spk, stamps, i_know, max_skip)
    for name in results["missing"][:5]:
        log.warning("%s: no embedding", name)
    if results["missing"]:
        log.warning("%d utterances have no embedding: %d trials left out", len(results["missing"]), results["left_out"])
    for reason in results["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if json_file:
        with atomic_file(json_file, "w") as file:
            json.dump(results, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
    click.echo(as_line(results))
