"""make-fbank: recordings into log-mel features."""

import os

import click

from sertk.cli.frontend import (
    NUMBERS_PLACE,
    compress_option,
    compression,
    fbank_options,
    kaldis_other_options,
    numbers_writer,
    refuse_shared_stdout,
    settle_kaldis_options,
)
from sertk.cli.options import (
    BOOL,
    FILE,
    RSPECIFIER,
    WSPECIFIER,
    Tally,
    command,
    max_skip_option,
    progress,
    seed_option,
    threads_option,
)
from sertk.frontend.options import FbankOptions


@command
@click.argument("wav_in", metavar="WAV-RSPECIFIER", type=RSPECIFIER)
@click.argument("feats_out", metavar="FEATS-WSPECIFIER", type=WSPECIFIER)
@click.option(
    "--segments", type=FILE, help="Lines of 'utterance recording start end [channel]': features of those parts."
)
@click.option("--cmvn", type=BOOL, default=False, show_default=True, help="Normalise each segment, as cmvn-segment.")
@click.option(
    "--norm-vars", type=BOOL, default=True, show_default=True, help="With --cmvn: scale to unit variance too."
)
@compress_option
@click.option("--channel", type=click.IntRange(-1),
              help="Channel to take, from 0, where there are several; -1: one channel is expected.  [default: -1]")  # fmt: skip
@click.option("--allow-resample", type=BOOL, default=False, show_default=True, help="Convert other sample rates.")
@click.option("--max-overshoot", type=click.FloatRange(0), default=0.5, show_default=True,
              help="Seconds by which a segment may end after its recording.")  # fmt: skip
@click.option("--min-duration", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Skip what is shorter, in seconds.")  # fmt: skip
@click.option("--write-num-frames", metavar="WSPECIFIER", type=NUMBERS_PLACE,
              help="Write the number of frames of each utterance: ark,t:FILE, or FILE (sorted).")  # fmt: skip
@click.option("--write-utt2dur", metavar="WSPECIFIER", type=NUMBERS_PLACE,
              help="Write the duration of each utterance in seconds: ark,t:FILE, or FILE (sorted).")  # fmt: skip
@click.option("--backend", type=click.Choice(["numpy", "torchaudio"]), default="numpy", show_default=True,
              help="What computes the features; they agree to 0.001.")  # fmt: skip
@fbank_options
@kaldis_other_options
@threads_option
@max_skip_option
@seed_option
def main(wav_in, feats_out, segments, cmvn, norm_vars, compress, channel, max_overshoot, min_duration, write_num_frames,
         write_utt2dur, backend, num_threads, max_skip, seed, **options):  # fmt: skip
    """Compute Kaldi's log-mel features of the recordings in WAV-RSPECIFIER.

    Its entries are wav, flac, ogg, mp3, sph, aiff, au, caf or m4a files, places in an archive of wav files, or commands
    that end in '|'. What is missing, truncated, silent or not audio is skipped and counted; a command that fails is an
    error (with scp,p: it is skipped too).

    Options are named as those of Kaldi's compute-fbank-feats, but the defaults are the paper's (128 bins, 40 to 8000 Hz,
    no dither). Those of its options that have no effect here are accepted; those that would change the features are
    refused.

    \b
    e.g.: make-fbank scp:wav.scp ark,scp:fbank.ark,fbank.scp
          make-fbank --segments=segments --num-mel-bins=80 scp:wav.scp ark:fbank.ark
          make-fbank scp:wav.scp ark:- | cmvn-segment ark:- ark,scp:feats.ark,feats.scp
    See also: cmvn-segment, validate-data
    """
    # The threads are ours, a recording each: the linear algebra shall not start its own.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = settle_kaldis_options(options)
    allow_resample = options.pop("allow_resample")
    refuse_shared_stdout(feats_out, write_num_frames, write_utt2dur)
    from sertk.frontend.extractor import FeatureExtractor
    from sertk.frontend.pipeline import features_of, in_order
    from sertk.frontend.recordings import recording_jobs
    from sertk.kaldi.tables import table_writer

    fbank = FbankOptions(**options)
    channel = None if channel == -1 else channel
    normalisation = ("segment" if norm_vars else "segment mean") if cmvn else "none"
    settings = {"fbank": fbank.settings(), "cmvn": normalisation}
    if channel is not None:
        settings["channel"] = channel
    jobs = recording_jobs(wav_in, segments, channel, max_overshoot)

    def worker():
        extract = FeatureExtractor(fbank, cmvn, allow_resample, min_duration, backend, seed, norm_vars)
        return lambda job: features_of(job, extract)

    made = in_order(worker, jobs, num_threads or len(os.sched_getaffinity(0)))
    with (
        Tally(wav_in, max_skip) as tally,
        table_writer(feats_out, compress=compression(compress, feats_out), settings=settings) as write,
        numbers_writer(write_num_frames, "int") as write_frames,
        numbers_writer(write_utt2dur, "double") as write_seconds,
    ):
        for found in progress(made):
            if found.feats is None:
                tally.skip(found.key, found.reason)
                continue
            write(found.key, found.feats)
            write_frames(found.key, len(found.feats))
            write_seconds(found.key, found.seconds)
            tally.done()
        tally.check()
