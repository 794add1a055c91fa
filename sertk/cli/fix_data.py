"""fix-data: sort a data folder and keep the utterances that all lists have."""

import logging
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.types import FOLDER
from sertk.errors import SertkError

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
def main(folder: Path) -> None:
    """Sort the lists of a data folder, rebuild spk2utt, and keep the utterances that all lists have.

    Warns how many utterances are left out and why; the old lists are copied to DATA-DIR/.backup. Exits with 1 if no
    utterance would be left, or if problems remain that cannot be fixed automatically.

    \b
    e.g.: fix-data data/train
    See also: validate-data
    """
    from sertk.datadir.checks import problems
    from sertk.datadir.fix import fix

    for line in fix(folder):
        log.warning("%s", line)
    remaining = list(problems(folder))
    if remaining:
        raise SertkError(f"{folder}: {len(remaining)} problems remain (validate-data lists them): {remaining[0]}")
    log.info("%s: valid", folder)
