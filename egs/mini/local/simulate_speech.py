#!/usr/bin/env python3
"""simulate-speech: two corpora of simulated speech in the layouts of IEMOCAP and VoxCeleb1."""

import logging
import shutil

import click
from iemocap_layout import write_iemocap
from voxceleb_layout import write_voxceleb1

from sertk.cli.command import command
from sertk.cli.options import seed_option
from sertk.cli.types import FOLDER
from sertk.errors import SertkError

log = logging.getLogger("sertk")

NOTE = """SIMULATED SPEECH, made by sertk's egs/mini with a source-filter synthesiser, seed {seed}.
Results on it show that the recipes work; they say nothing about people.
"""


@command
@click.argument("corpus", metavar="CORPUS-DIR", type=FOLDER)
@click.option("--speakers", type=click.IntRange(2), default=68, show_default=True,
              help="Training speakers; run.sh takes 8 of them for the calibration.")  # fmt: skip
@click.option("--trial-speakers", type=click.IntRange(2), default=10, show_default=True,
              help="Speakers of the trial list.")  # fmt: skip
@seed_option
def main(corpus, speakers, trial_speakers, seed):
    """Write CORPUS-DIR/IEMOCAP, CORPUS-DIR/voxceleb1 and the note CORPUS-DIR/SIMULATED.

    An earlier simulated corpus is replaced; any other existing folder is an error.

    \b
    e.g.: local/simulate_speech.py corpus
    """
    if corpus.exists() and not (corpus / "SIMULATED").exists():
        raise SertkError(
            f"{corpus}: is there already and is not a simulated corpus (no file SIMULATED): not overwritten"
        )
    unfinished = corpus.with_name(f"{corpus.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    turns = write_iemocap(unfinished / "IEMOCAP", seed)
    recordings = write_voxceleb1(unfinished / "voxceleb1", seed, {"dev": speakers, "test": trial_speakers})
    (unfinished / "SIMULATED").write_text(NOTE.format(seed=seed))
    shutil.rmtree(corpus, ignore_errors=True)
    unfinished.rename(corpus)
    log.info("%s: SIMULATED speech, %d turns and %d recordings of speakers", corpus, turns, recordings)


if __name__ == "__main__":
    main()
