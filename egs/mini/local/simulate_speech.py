#!/usr/bin/env python3
"""simulate-speech: two corpora of simulated speech, laid out as IEMOCAP and VoxCeleb1 are."""

import logging
import shutil

import click
from iemocap_layout import write_iemocap
from voxceleb_layout import write_voxceleb1

from sertk.cli.options import FOLDER, command, seed_option
from sertk.errors import SertkError

log = logging.getLogger("sertk")

NOTE = """SIMULATED SPEECH: nobody said this. sertk's egs/mini made it with a source-filter synthesiser, seed {seed}.
A result on it says that the recipes work; it says nothing about people.
"""


@command
@click.argument("corpus", metavar="CORPUS-DIR", type=FOLDER)
@click.option("--speakers", type=click.IntRange(2), default=60, show_default=True, help="Speakers to train with.")
@click.option("--trial-speakers", type=click.IntRange(2), default=10, show_default=True,
              help="Speakers of the trial list.")  # fmt: skip
@seed_option
def main(corpus, speakers, trial_speakers, seed):
    """Write CORPUS-DIR/IEMOCAP and CORPUS-DIR/voxceleb1, and the note CORPUS-DIR/SIMULATED.

    A corpus that was simulated before is replaced; any other folder is left alone.

    \b
    e.g.: local/simulate_speech.py corpus
    """
    if corpus.exists() and not (corpus / "SIMULATED").exists():
        raise SertkError(f"{corpus}: is there already and was not made here (no file SIMULATED in it): left alone")
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
