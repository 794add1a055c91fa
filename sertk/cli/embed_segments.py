"""embed-segments: what a network's trunk makes of segments."""

import click

from sertk.cli.frontend import compression
from sertk.cli.options import (
    FILE,
    RSPECIFIER,
    WSPECIFIER,
    Tally,
    command,
    device_option,
    progress,
    seed_option,
    threads_option,
)
from sertk.cli.train_resnet import chunk_options
from sertk.cli.training import precision_option


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("vectors", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--at", type=click.Choice(["map", "pool", "embedding"]), default=None,
              help="The trunk's last maps flattened (--draws on one chunk length), the pooled statistics, or the layer"
                   " behind them.  [default: embedding; with --draws pool]")  # fmt: skip
@click.option("--draws", type=click.IntRange(1), metavar="N",
              help="Instead of whole segments: the masked chunks of N training epochs, a matrix a segment.")  # fmt: skip
@chunk_options
@click.option("--compress", type=click.Choice(["none", "cm2"]),
              help="Of the draws.  [default: cm2 (16 bits) in files; none in pipes and text]")  # fmt: skip
@precision_option
@seed_option
@device_option
@threads_option
def main(model, feats, vectors, at, draws, compress, **options):
    """Run a network's trunk over segments and write a vector for each: speaker embeddings, pooled statistics.

    With --draws N it writes what transfer-head trains on: for each segment a matrix with a row for every epoch and
    version (--augment) of it, on chunks whose length, offset and masks are a function of seed, segment, epoch and
    version.

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
    if compress and not draws:
        raise click.UsageError("--compress is for --draws: vectors are not compressed")
    from sertk.kaldi.tables import table_writer
    from sertk.training.embedding import embed, embed_draws

    if draws:
        results, total, settings = embed_draws(model, feats, draws, at, **options)
        kind, compress = "matrix", compression(compress, vectors)
    else:
        results, total, settings = embed(
            model, feats, at, options["precision"], options["device"], options["num_threads"]
        )
        kind, compress = "vector", "none"
    with Tally(feats, 0) as tally, table_writer(vectors, kind=kind, compress=compress, settings=settings) as write:
        for key, value in progress(results, total):
            write(key, value)
            tally.done()
        tally.check()
