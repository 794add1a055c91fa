"""cmvn-segment: mean and variance normalisation over each segment."""

import os
from contextlib import nullcontext
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.frontend import compress_option, compression
from sertk.cli.options import max_skip_option, only_for, verify_option
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
    help="Normalise over all segments of a group (utt2dialog, utt2spk); results on it are stamped TRANSDUCTIVE.",
)
@click.option(
    "--enrol",
    type=FILE,
    metavar="LIST",
    help="With --utt2group: take the mean and variance of a group from its utterances in this list alone.",
)
@click.option(
    "--stats",
    type=WSPECIFIER,
    metavar="VECTORS-WSPECIFIER",
    help="Also write the mean and the standard deviation of every bin of each segment: a vector of 2 × bins numbers.",
)
@compress_option
@verify_option
@max_skip_option
def main(
    feats_in: Rspecifier,
    feats_out: Wspecifier,
    norm_vars: bool,
    utt2group: Path | None,
    enrol: Path | None,
    stats: Wspecifier | None,
    compress: str | None,
    verify: bool,
    max_skip: float,
) -> None:
    """Normalise the mean and variance of every bin over each segment; a constant bin becomes 0.

    Features from a pipe have no manifest, which networks that shall classify audio need: make-fbank --cmvn true computes and
    normalises them in one step.

    With --utt2group it does what Kaldi's compute-cmvn-stats --spk2utt and apply-cmvn --norm-vars=true --utt2spk do; with --enrol,
    what they do if compute-cmvn-stats is given the utterances of LIST alone. Segments of a group that has none in LIST are
    skipped. A network that was trained on features of the one takes those of the other. It takes vectors too, each as a frame of
    its group: a speaker network's embeddings without what they say of the speaker.

    With --stats, level and spectrum of the voice, which are lost in the features, are kept as vectors for transfer-head.

    \b
    e.g.: cmvn-segment scp:fbank.scp ark,scp:feats.ark,feats.scp
          make-fbank scp:wav.scp ark:- | cmvn-segment ark:- ark:feats.ark
          cmvn-segment --utt2group data/all/utt2spk scp:fbank.scp ark,scp:feats.ark,feats.scp
          cmvn-segment --utt2group data/all/utt2spk --enrol enrol.utts scp:fbank.scp ark,scp:feats.ark,feats.scp
          cmvn-segment --utt2group data/all/utt2spk scp:vectors.scp ark,scp:byspeaker.ark,byspeaker.scp
          cmvn-segment --stats ark,scp:stats.ark,stats.scp scp:fbank.scp ark,scp:feats.ark,feats.scp
    See also: make-fbank, join-vectors, classify-audio
    """
    if stats and utt2group:
        raise click.UsageError("--stats is of segments that are normalised alone: not with --utt2group")
    only_for("--utt2group", utt2group, "enrol")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from sertk.frontend.cmvntable import Groups, holds_vectors, normalised_alone, normalised_by_group, settings_of
    from sertk.kaldi.origins import NOTHING
    from sertk.kaldi.tables import table_writer

    groups = Groups(utt2group, enrol) if utt2group else None
    settings = settings_of(feats_in, norm_vars, groups)
    kind = "vector" if groups and holds_vectors(feats_in) else "matrix"
    of_stats = {**settings, "cmvn": "none", "statistics": "mean, deviation", "trained_on": NOTHING}
    with (
        Tally(feats_in, max_skip) as tally,
        table_writer(stats, kind="vector", settings=of_stats) if stats else nullcontext() as write_stats,
        table_writer(feats_out, kind=kind, compress=compression(compress, feats_out), settings=settings) as write,
    ):
        if groups:
            normalised = normalised_by_group(feats_in, groups, norm_vars, verify, tally.skip)
        else:
            normalised = normalised_alone(feats_in, norm_vars, verify, tally.skip, write_stats)
        for key, feats in progress(normalised):
            write(key, feats)
            tally.done()
        tally.check()
