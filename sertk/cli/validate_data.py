"""validate-data: check a data folder."""

import logging
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.options import verify_option
from sertk.cli.types import FOLDER
from sertk.errors import SertkError

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most problems to list.")
@verify_option
def main(folder: Path, limit: int, verify: bool) -> None:
    """List the problems of a data folder, one line each; exit with 1 if there are any.

    Checks Kaldi's lists and sertk's own (utt2label, utt2session, utt2dialog): number of columns, LC_ALL=C order, the
    same utterances in all, speakers that are prefixes of their utterances, values. With --verify true also tables
    against their manifests (sha256), utt2num_frames against feats.scp, and that recordings exist. A channel column in
    segments is valid; a warning says that Kaldi's validate_data_dir.sh refuses it.

    \b
    e.g.: validate-data data/train
          validate-data --verify true data/train
    See also: fix-data
    """
    from sertk.datadir.checks import problems, remarks

    count = 0
    for line in problems(folder, verify):
        count += 1
        if count <= limit:
            click.echo(line)
    if count:
        more = f", {limit} of them listed" if count > limit else ""
        raise SertkError(f"{folder}: {count} problem{'s' if count > 1 else ''}{more}")
    for line in remarks(folder):
        log.warning("%s", line)
    log.info("%s: valid", folder)
