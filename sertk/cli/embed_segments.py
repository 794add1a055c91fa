"""embed-segments: embeddings and pooled statistics of segments, or training draws for transfer-head."""

import logging
from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.frontend import compression
from sertk.cli.options import device_option, max_skip_option, only_for, seed_option, threads_option
from sertk.cli.tally import Tally, progress
from sertk.cli.train_resnet import CHUNK_OPTIONS, chunk_options
from sertk.cli.training import RUN_AGAIN, catch_signals, precision_option
from sertk.cli.types import FILE, RSPECIFIER, WSPECIFIER
from sertk.jobs.options import DrawOptions
from sertk.kaldi.resumable import begun_with, change, finished_with, is_resumable, resumable_writer, whole_identity
from sertk.kaldi.specifiers import Rspecifier, Wspecifier
from sertk.kaldi.writer import table_writer
from sertk.models.spec import places
from sertk.training.progress import Stopped, never

log = logging.getLogger("sertk")


class _At(click.ParamType):
    """An output of the network: map, pool, embedding, or some of its stages."""

    name = "map|pool|embedding|stage1,…"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the name."""
        words = value.split(",")
        if len(words) > 1 and (wrong := next((word for word in words if not places(word)), None)) is not None:
            self.fail(f"'{wrong}' of '{value}' is not one of stage1 to stage4: only stages are put side by side")
        if len(set(words)) < len(words):
            self.fail(f"'{value}': a stage comes twice")
        if value not in ("map", "pool", "embedding") and not places(value):
            self.fail(f"'{value}' is not one of map, pool, embedding, stage1 to stage4 (several stages: stage3,stage4)")
        return value


AT = _At()


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("vectors", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--at", type=AT, default=None, metavar="map|pool|embedding|stage1,…",
              help="Output of the network: the trunk's last maps, flattened (--draws on one chunk length), the pooled"
                   " statistics of its last stage or of any (stage1 to stage4, several side by side), or the layer after"
                   " them.  [default: embedding; with --draws pool]")  # fmt: skip
@click.option("--draws", type=click.IntRange(1, 100_000), metavar="N",
              help="Masked chunks of N training epochs, a matrix per segment.")  # fmt: skip
@chunk_options
@click.option("--compress", type=click.Choice(["none", "cm2"]),
              help="Compression of the draws.  [default: cm2 (16 bits) for files; none for pipes and text]")  # fmt: skip
@precision_option
@max_skip_option
@seed_option
@device_option
@threads_option
def main(
    model: Path,
    feats: Rspecifier,
    vectors: Wspecifier,
    at: str | None,
    draws: int | None,
    compress: str | None,
    max_skip: float,
    **options: Any,
) -> int:
    """Run a network over segments and write a vector for each: speaker embeddings or pooled statistics.

    With --draws N it writes the input of transfer-head: for each segment a matrix with a row for every epoch and
    version (--augment), on chunks whose length, offset and masks depend on seed, segment, epoch and version only. After
    TERM or USR1 (exit status 75) or a kill, rerun the same command: it resumes after the last finished segments. Finished
    draws of the same model, features, settings and code are kept.

    \b
    e.g.: embed-segments exp/resnet34/final.pt scp:data/test/feats.scp ark,scp:xvector.ark,xvector.scp
          embed-segments --draws 20 exp/resnet34/final.pt scp:feats.scp ark,scp:draws.ark,draws.scp
          embed-segments --draws 20 --at map --chunk-frames 300 exp/resnet34/final.pt scp:feats.scp \\
            ark,scp:maps.ark,maps.scp
          embed-segments --at pool exp/resnet34/final.pt scp:feats.scp ark,scp:whole.ark,whole.scp
          embed-segments --at stage3,stage4 exp/resnet34/final.pt scp:feats.scp ark,scp:stages.ark,stages.scp
    See also: score-trials, transfer-head
    """
    at = at or ("pool" if draws else "embedding")
    if at == "map" and (not draws or len(options["chunk_frames"]) > 1):
        raise click.UsageError("--at map takes --draws on chunks of one length: give --chunk-frames one number")
    only_for("--draws: vectors are not compressed", draws, "compress")
    only_for("--draws: whole segments are neither cut nor masked", draws, *CHUNK_OPTIONS)
    if draws:
        draw_options = DrawOptions(draws, at, **options)
        return _write_draws(model, feats, vectors, compression(compress, vectors), max_skip, draw_options)
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
    return 0


def _write_draws(
    model: Path, feats: Rspecifier, target: Wspecifier, compress: str, max_skip: float, options: DrawOptions
) -> int:
    """Write training draws; in a file, they can be resumed. Returns the exit status."""
    resumable = is_resumable(target)
    stop_requested = catch_signals() if resumable else never
    from sertk.data.loader import behind
    from sertk.jobs.draws import DRAW_ROUNDING, prepare_trunk_pass

    tally = Tally(feats, max_skip)
    partial_table, finished_table = (begun_with(target), finished_with(target)) if resumable else ({}, {})
    trunk_pass = prepare_trunk_pass(model, feats, options, partial_table, finished_table, tally.skip)
    total, settings = len(trunk_pass.keys), trunk_pass.settings
    tally.check(to_come=total)
    if finished_table:
        identity = whole_identity(target, compress, settings, trunk_pass.identity)
        changed = change(finished_table, identity, DRAW_ROUNDING)
        if not changed:
            log.info("%s: finished with this model, these features and settings, kept", target)
            return 0
        log.warning("%s: computed again: finished with %s", target, changed)
    log.info("%s in %s", trunk_pass.size(compress), target)
    if not resumable:
        with tally, table_writer(target, compress=compress, settings=settings) as write:
            for key, rows in progress(trunk_pass.run(), total):
                write(key, rows)
                tally.done()
        return 0
    try:
        writer = resumable_writer(
            target, trunk_pass.keys, compress=compress, settings=settings, identity=trunk_pass.identity
        )
        with tally, writer as table:
            tally.num_done = table.done
            if table.done:
                log.info("resuming after segment %d", table.done)
            draws = trunk_pass.run(first=table.done, stop_requested=stop_requested)

            def write(key: str, rows: Any) -> None:
                table.write(key, rows)
                tally.done()
                if table.done % trunk_pass.window == 0:
                    table.checkpoint()

            with behind(write, trunk_pass.window) as later:  # the trunk computes while a thread writes
                for key, rows in progress(draws, total - table.done):
                    later(key, rows)
    except Stopped as stopped:
        log.info("asked to stop: %s; rerun the same command to resume", stopped)
        return RUN_AGAIN
    return 0
