"""split-data: divide a data folder into parts."""

import logging
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.types import BOOL, FOLDER

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
@click.argument("number", metavar="N", type=click.IntRange(1))
@click.option("--per-utt", type=BOOL, default=False, show_default=True, help="Split speakers too (into splitNutt).")
def main(folder: Path, number: int, per_utt: bool) -> None:
    """Divide a data folder into N parts, DATA-DIR/splitN/1 to N, each a data folder with whole speakers.

    \b
    e.g.: split-data data/train 4
          split-data --per-utt true data/train 8
    See also: subset-data, combine-data
    """
    from sertk.datadir.split import split

    place, warnings = split(folder, number, per_utt)
    for line in warnings:
        log.warning("%s", line)
    log.info("wrote %s/{1..%d}", place, number)
