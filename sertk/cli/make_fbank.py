"""make-fbank: log-mel features of recordings."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.frontend import (
    NUMBERS_PLACE,
    channel_option,
    compress_option,
    compression,
    fbank_options,
    kaldis_other_options,
    numbers_writer,
    overshoot_option,
    refuse_shared_stdout,
    segments_option,
    settle_kaldis_options,
    utt2perturb_option,
)
from sertk.cli.options import max_skip_option, only_for, seed_option, threads_option
from sertk.cli.tally import Tally, progress
from sertk.cli.types import BOOL, RSPECIFIER, WSPECIFIER
from sertk.frontend.options import FbankOptions
from sertk.kaldi.specifiers import Rspecifier, Wspecifier


@command
@click.argument("wav_in", metavar="WAV-RSPECIFIER", type=RSPECIFIER)
@click.argument("feats_out", metavar="FEATS-WSPECIFIER", type=WSPECIFIER)
@segments_option
@utt2perturb_option
@click.option(
    "--cmvn", type=BOOL, default=False, show_default=True, help="Normalise each segment, as cmvn-segment does."
)
@click.option(
    "--norm-vars", type=BOOL, default=True, show_default=True, help="With --cmvn: normalise the variance too."
)
@compress_option
@channel_option
@click.option("--allow-resample", type=BOOL, default=False, show_default=True, help="Convert other sample rates.")
@overshoot_option
@click.option(
    "--min-duration",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Skip shorter recordings and segments (in seconds).",
)
@click.option(
    "--write-num-frames",
    metavar="WSPECIFIER",
    type=NUMBERS_PLACE,
    help="Write the number of frames of each utterance: ark,t:FILE, or FILE (sorted).",
)
@click.option(
    "--write-utt2dur",
    metavar="WSPECIFIER",
    type=NUMBERS_PLACE,
    help="Write the duration of each utterance in seconds: ark,t:FILE, or FILE (sorted).",
)
@click.option(
    "--backend",
    type=click.Choice(["numpy", "torchaudio"]),
    default="numpy",
    show_default=True,
    help="Implementation of the features; both agree to 0.001.",
)
@fbank_options
@kaldis_other_options
@threads_option
@max_skip_option
@seed_option
def main(
    wav_in: Rspecifier,
    feats_out: Wspecifier,
    segments: Path | None,
    utt2perturb: Path | None,
    cmvn: bool,
    norm_vars: bool,
    compress: str | None,
    channel: int | None,
    max_overshoot: float,
    min_duration: float,
    write_num_frames: Wspecifier | Path | None,
    write_utt2dur: Wspecifier | Path | None,
    backend: str,
    num_threads: int | None,
    max_skip: float,
    seed: int,
    **options: Any,
) -> None:
    """Compute log-mel features of recordings, as Kaldi's compute-fbank-feats does.

    WAV-RSPECIFIER lists wav, flac, ogg, mp3, sph, aiff, au, caf or m4a files, offsets in an archive of wav files, or
    commands that end in '|'. Recordings that are missing, truncated, silent or not audio are skipped and counted; a
    command that fails is an error (with scp,p: it is skipped too).

    Options are named as in compute-fbank-feats; the defaults are the paper's (128 bins, 40 to 8000 Hz, no dither). Its
    other options are accepted if they do not change the features, and refused if they would.

    \b
    e.g.: make-fbank scp:wav.scp ark,scp:fbank.ark,fbank.scp
          make-fbank --segments=segments --num-mel-bins=80 scp:wav.scp ark:fbank.ark
          make-fbank scp:wav.scp ark:- | cmvn-segment ark:- ark,scp:feats.ark,feats.scp
          make-fbank --utt2perturb=data/aug/utt2perturb scp:data/aug/wav.scp ark:fbank.ark
    See also: cmvn-segment, perturb-data, validate-data
    """
    # Recordings are distributed over threads, so the linear algebra must not start its own.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = settle_kaldis_options(options)
    allow_resample = options.pop("allow_resample")
    only_for("--cmvn", cmvn, "norm_vars")
    only_for("--segments", segments, "max_overshoot")
    refuse_shared_stdout(feats_out, write_num_frames, write_utt2dur)
    from sertk.frontend.extractor import FeatureExtractor
    from sertk.frontend.perturb_list import Perturb
    from sertk.frontend.pipeline import features_of, in_order
    from sertk.frontend.recordings import recording_jobs
    from sertk.kaldi.tables import table_writer

    fbank = FbankOptions(**options)
    channel = None if channel == -1 else channel
    normalisation = ("segment" if norm_vars else "segment mean") if cmvn else "none"
    settings = {"fbank": fbank.settings(), "cmvn": normalisation}
    if channel is not None:
        settings["channel"] = channel
    perturb = Perturb.beside(wav_in, utt2perturb)
    jobs = perturb.jobs(recording_jobs(wav_in, segments, channel, max_overshoot))

    def worker() -> Callable:
        extract = FeatureExtractor(fbank, cmvn, allow_resample, min_duration, backend, seed, norm_vars)
        return lambda job: features_of(job, extract)

    utterances = in_order(worker, jobs, num_threads or len(os.sched_getaffinity(0)))
    with (
        Tally(wav_in, max_skip) as tally,
        table_writer(feats_out, compress=compression(compress, feats_out), settings=settings) as write,
        numbers_writer(write_num_frames, "int") as write_frames,
        numbers_writer(write_utt2dur, "double") as write_seconds,
    ):
        for utterance in progress(utterances):
            if utterance.feats is None:
                tally.skip(utterance.key, utterance.reason)
                continue
            write(utterance.key, utterance.feats)
            write_frames(utterance.key, len(utterance.feats))
            write_seconds(utterance.key, utterance.seconds)
            tally.done()
        tally.check()
        perturb.check()
