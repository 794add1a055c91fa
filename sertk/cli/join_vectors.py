"""join-vectors: vectors of several tables side by side."""

import os
from itertools import chain

import click

from sertk.cli.command import command
from sertk.cli.options import max_skip_option
from sertk.cli.tally import Tally, progress
from sertk.cli.types import RSPECIFIER, WSPECIFIER
from sertk.kaldi.specifiers import Rspecifier, Wspecifier


@command
@click.argument("sources", metavar="VECTORS-RSPECIFIER…", type=RSPECIFIER, nargs=-1, required=True)
@click.argument("target", metavar="VECTORS-WSPECIFIER", type=WSPECIFIER)
@max_skip_option
def main(sources: tuple[Rspecifier, ...], target: Wspecifier, max_skip: float) -> None:
    """Concatenate the vectors that several tables have for each key, in the order of the first table.

    Matrices are joined row by row if they have as many rows; a vector beside a matrix is repeated on every row. Keys that
    are not in all tables are skipped. The manifest keeps what each part was computed by and trained on.

    \b
    e.g.: join-vectors scp:whole.scp scp:stats.scp ark,scp:both.ark,both.scp
          join-vectors scp:draws.scp scp:stats.scp ark,scp:both.ark,both.scp
    See also: transfer-head, embed-segments, cmvn-segment
    """
    if len(sources) < 2:
        raise click.UsageError("at least two tables are joined")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from sertk.kaldi.origins import pasted
    from sertk.kaldi.paste import paste
    from sertk.kaldi.tables import read_manifest, table_writer

    manifests = [read_manifest(source) for source in sources]
    settings = pasted([manifest.settings if manifest else {} for manifest in manifests])
    with Tally(sources[0], max_skip) as tally:
        values = paste(list(sources), tally.skip)
        first = next(values, None)
        if first is None:
            tally.check()
            return
        kind = "matrix" if first[1].ndim == 2 else "vector"
        with table_writer(target, kind=kind, settings=settings) as write:
            for key, value in progress(chain([first], values)):
                write(key, value)
                tally.done()
            tally.check()
