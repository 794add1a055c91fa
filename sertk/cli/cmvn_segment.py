"""cmvn-segment: mean and variance normalisation over each segment."""

import os
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.frontend import compress_option, compression
from sertk.cli.options import max_skip_option, verify_option
from sertk.cli.tally import Tally, progress
from sertk.cli.types import BOOL, FILE, RSPECIFIER, WSPECIFIER
from sertk.kaldi.specifiers import Rspecifier, Wspecifier


@command
@click.argument("feats_in", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("feats_out", metavar="FEATS-WSPECIFIER", type=WSPECIFIER)
@click.option("--norm-vars", type=BOOL, default=True, show_default=True, help="Normalise the variance too.")
@click.option(
    "--utt2group",
    type=FILE,
    metavar="MAP",
    help="Normalise over all segments of a group (utt2dialog, utt2spk); the output is stamped transductive.",
)
@compress_option
@verify_option
@max_skip_option
def main(
    feats_in: Rspecifier,
    feats_out: Wspecifier,
    norm_vars: bool,
    utt2group: Path | None,
    compress: str | None,
    verify: bool,
    max_skip: float,
) -> None:
    """Normalise the mean and variance of every bin over each segment; a constant bin becomes 0.

    \b
    e.g.: cmvn-segment scp:fbank.scp ark,scp:feats.ark,feats.scp
          make-fbank scp:wav.scp ark:- | cmvn-segment ark:- ark:feats.ark
    See also: make-fbank
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from sertk.frontend.cmvn import normalised_table, settings_of
    from sertk.kaldi.tables import table_writer

    settings = settings_of(feats_in, norm_vars, utt2group)
    with (
        Tally(feats_in, max_skip) as tally,
        table_writer(feats_out, compress=compression(compress, feats_out), settings=settings) as write,
    ):
        for key, feats in progress(normalised_table(feats_in, norm_vars, utt2group, verify, tally.skip)):
            write(key, feats)
            tally.done()
        tally.check()
