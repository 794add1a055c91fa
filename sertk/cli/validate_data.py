"""validate-data: whether a data folder is as it should be."""

import logging

import click

from sertk.cli.options import FOLDER, command, verify_option
from sertk.errors import SertkError

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Problems to list.")
@verify_option
def main(folder, limit, verify):
    """List what is wrong with a data folder, one line each, and exit with 1 where anything is.

    Checks Kaldi's lists and ours (utt2label, utt2session, utt2dialog): columns, LC_ALL=C order, the same utterances
    in all, speakers that are prefixes of their utterances, values. With --verify true also the tables against their
    manifests (sha256), utt2num_frames against feats.scp, and that the recordings are there.

    \b
    e.g.: validate-data data/train
          validate-data --verify true data/train
    See also: fix-data
    """
    from sertk.datadir.checks import problems

    count = 0
    for line in problems(folder, verify):
        count += 1
        if count <= limit:
            click.echo(line)
    if count:
        more = f", {limit} of them listed" if count > limit else ""
        raise SertkError(f"{folder}: {count} problem{'s' if count > 1 else ''}{more}")
    log.info("%s: valid", folder)
