"""embed-segments: what a network's trunk makes of segments."""

import logging

import click
from click.core import ParameterSource

from sertk.cli.frontend import compression
from sertk.cli.options import (
    FILE,
    RSPECIFIER,
    WSPECIFIER,
    Tally,
    command,
    device_option,
    max_skip_option,
    progress,
    seed_option,
    threads_option,
)
from sertk.cli.train_resnet import chunk_options
from sertk.cli.training import RUN_AGAIN, catch_signals, precision_option
from sertk.kaldi.resumable import begun_with, is_resumable, resumable_writer
from sertk.kaldi.writer import table_writer
from sertk.runs.preemption import Stopped

log = logging.getLogger("sertk")
# What has nothing to say of whole segments; nor has --seed, which a recipe gives all its commands.
OF_DRAWS = ("chunk_frames", "augment", "padding", "mask_scope")


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("vectors", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--at", type=click.Choice(["map", "pool", "embedding"]), default=None,
              help="The trunk's last maps flattened (--draws on one chunk length), the pooled statistics, or the layer"
                   " behind them.  [default: embedding; with --draws pool]")  # fmt: skip
@click.option("--draws", type=click.IntRange(1, 100_000), metavar="N",
              help="Instead of whole segments: the masked chunks of N training epochs, a matrix a segment.")  # fmt: skip
@chunk_options
@click.option("--compress", type=click.Choice(["none", "cm2"]),
              help="Of the draws.  [default: cm2 (16 bits) in files; none in pipes and text]")  # fmt: skip
@precision_option
@max_skip_option
@seed_option
@device_option
@threads_option
def main(model, feats, vectors, at, draws, compress, max_skip, **options):
    """Run a network's trunk over segments and write a vector for each: speaker embeddings, pooled statistics.

    With --draws N it writes what transfer-head trains on: for each segment a matrix with a row for every epoch and
    version (--augment) of it, on chunks whose length, offset and masks are a function of seed, segment, epoch and
    version. After TERM or USR1 (exit status 75) or a kill, rerun the same command: it resumes after the last finished
    segments.

    \b
    e.g.: embed-segments exp/resnet34/final.pt scp:data/test/feats.scp ark,scp:xvector.ark,xvector.scp
          embed-segments --draws 20 exp/resnet34/final.pt scp:feats.scp ark,scp:draws.ark,draws.scp
          embed-segments --draws 20 --at map --chunk-frames 300 exp/resnet34/final.pt scp:feats.scp \\
            ark,scp:maps.ark,maps.scp
          embed-segments --at pool exp/resnet34/final.pt scp:feats.scp ark,scp:whole.ark,whole.scp
    See also: score-trials, transfer-head
    """
    at = at or ("pool" if draws else "embedding")
    if at == "map" and (not draws or len(options["chunk_frames"]) > 1):
        raise click.UsageError("--at map takes --draws on chunks of one length: give --chunk-frames one number")
    if not draws:
        if compress:
            raise click.UsageError("--compress is for --draws: vectors are not compressed")
        if given := [name for name in OF_DRAWS if _is_given(name)]:
            raise click.UsageError(
                f"--{given[0].replace('_', '-')} is for --draws: whole segments are not cut nor masked"
            )
    if draws:
        return _write_draws(vectors, compression(compress, vectors), max_skip, model, feats, draws, at, **options)
    from sertk.jobs.embed import embed

    tally = Tally(feats, max_skip)
    results, total, settings = embed(
        model, feats, at, options["precision"], options["device"], options["num_threads"], skip=tally.skip
    )
    with tally, table_writer(vectors, kind="vector", settings=settings) as write:
        for key, value in progress(results, total):
            write(key, value)
            tally.done()
        tally.check()


def _is_given(name: str) -> bool:
    """Whether an option stands in the call or in its config file."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _write_draws(target, compress, max_skip, *source, **options):
    """Write the draws; a run into a file can be resumed."""
    stop = catch_signals() if is_resumable(target) else False
    from sertk.jobs.draws import embed_draws

    tally, begun = Tally(source[1], max_skip), begun_with(target) if is_resumable(target) else {}
    trunk = embed_draws(*source, begun=begun, skip=tally.skip, **options)
    total = len(trunk.keys)
    tally.check(to_come=total)
    log.info("%s in %s", trunk.size(compress), target)
    if not is_resumable(target):
        with tally, table_writer(target, compress=compress, settings=trunk.settings) as write:
            for key, rows in progress(trunk.run(), total):
                write(key, rows)
                tally.done()
        return 0
    try:
        with tally, resumable_writer(target, trunk.keys, compress=compress, settings=trunk.settings,
                                     identity=trunk.identity) as table:  # fmt: skip
            tally.num_done = table.done
            if table.done:
                log.info("going on after %d of them", table.done)
            for key, rows in progress(trunk.run(first=table.done, stop=stop), total - table.done):
                table.write(key, rows)
                tally.done()
                if table.done % trunk.window == 0:
                    table.checkpoint()
    except Stopped as stopped:
        log.info("asked to stop: %s; rerun the same command to resume", stopped)
        return RUN_AGAIN
    return 0
