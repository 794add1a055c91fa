"""score-trials: equal error rate and detection cost of speaker trials."""

import json

import click

from sertk.cli.options import BOOL, FILE, RSPECIFIER, command, log, max_skip_option


@command
@click.argument("trials", metavar="TRIALS", type=FILE)
@click.argument("embeddings", metavar="EMBEDDINGS-R", type=RSPECIFIER)
@click.option("--mean", type=RSPECIFIER, default=None, metavar="VECTORS-R",
              help="Subtract the mean of these vectors first (of the training's embeddings, say).")  # fmt: skip
@click.option("--utt2spk", type=FILE, default=None,
              help="The trials' speakers: refused when the network was trained on one of them. "
                   "VoxCeleb's are known by their names.")  # fmt: skip
@click.option("--json", "json_file", type=FILE, default=None, help="Write the figures, as JSON, here too.")
@click.option("--stamp", multiple=True, metavar="WORD", help="A word for the line: SIMULATED, …; may be repeated.")
@click.option("--i-know", type=BOOL, default=False, show_default=True, help="Score in spite of a leak, stamped LEAKY.")
@max_skip_option
def main(trials, embeddings, mean, utt2spk, json_file, stamp, i_know, max_skip):
    """Print the EER and minDCF (p_target 0.01 and 0.05) of the trials' cosine scores.

    TRIALS is Kaldi's (utt1 utt2 target|nontarget) or VoxCeleb's (1 id…/…/00001.wav id…/…/00002.wav). Trials without
    an embedding are counted and left out. An utterance that the network was trained on is refused. Stamps of the data
    folder (PARTIAL, SIMULATED, … beside TRIALS) are added to the line.

    \b
    e.g.: score-trials data/voxceleb1_test/trials scp:exp/resnet34/test.scp
          score-trials --mean scp:exp/resnet34/train.scp data/voxceleb1_test/trials scp:exp/resnet34/test.scp
    See also: embed-segments
    """
    from sertk.atomic import atomic_file
    from sertk.datadir.folder import STAMPS
    from sertk.scoring.verification import as_line, score

    stamps = [*stamp, *(word for word in STAMPS if (trials.parent / word).exists())]
    found = score(trials, embeddings, mean, utt2spk, stamps, i_know, max_skip)
    for name in found["missing"][:5]:
        log.warning("%s: no embedding", name)
    if found["missing"]:
        log.warning("%d utterances have no embedding: %d trials left out", len(found["missing"]), found["left_out"])
    for reason in found["unchecked"]:
        log.warning("leaks unchecked: %s", reason)
    if json_file:
        with atomic_file(json_file, "w") as file:
            json.dump(found, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
    click.echo(as_line(found))
