#!/usr/bin/env python3
"""opensmile-functionals: openSMILE's functionals of whole segments as a table of vectors."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.frontend import segments_option, utt2perturb_option
from sertk.cli.options import max_skip_option
from sertk.cli.segmentvectors import write_vectors
from sertk.cli.types import RSPECIFIER, WSPECIFIER
from sertk.errors import SertkError

SETS = ("eGeMAPSv02", "ComParE_2016")


@command
@click.argument("wav_in", metavar="WAV-RSPECIFIER", type=RSPECIFIER)
@click.argument("vectors_out", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--set", "name", type=click.Choice(SETS), default="eGeMAPSv02", show_default=True, help="Feature set.")
@segments_option
@utt2perturb_option
@max_skip_option
def main(wav_in, vectors_out, name, segments: Path | None, utt2perturb: Path | None, max_skip):
    """Compute the 88 functionals of eGeMAPS or the 6373 of ComParE 2016 of each recording, or segment.

    Recordings keep their sample rate. What openSMILE cannot compute is 0. Needs `pip install opensmile`, whose licence
    allows research, not products.

    \b
    e.g.: local/opensmile_functionals.py --set ComParE_2016 scp:data/emodb/wav.scp ark,scp:compare.ark,compare.scp
    See also: transfer-head
    """
    try:
        import opensmile
    except (ImportError, OSError) as error:
        raise SertkError(f"opensmile cannot be used ({error}): pip install opensmile") from None
    import numpy as np

    smile = opensmile.Smile(getattr(opensmile.FeatureSet, name), opensmile.FeatureLevel.Functionals)
    settings = {"opensmile": opensmile.__version__, "set": name, "trained_on": "nothing"}

    def functionals(samples, rate):
        return np.nan_to_num(smile.process_signal(samples, rate).to_numpy(np.float32)[0], posinf=0, neginf=0)

    write_vectors(functionals, settings, wav_in, vectors_out, segments, utt2perturb, max_skip)


if __name__ == "__main__":
    main()
