"""fix-data: sort a data folder and keep what all of its lists have."""

import logging

import click

from sertk.cli.options import FOLDER, command
from sertk.errors import SertkError

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
def main(folder):
    """Sort the lists of a data folder, make spk2utt anew, and keep the utterances that all lists have.

    Says how many utterances are left out and why; the files as they were stay in DATA-DIR/.backup. Exits with 1
    where nothing would be left, or where something remains that cannot be put right here.

    \b
    e.g.: fix-data data/train
    See also: validate-data
    """
    from sertk.datadir.checks import problems
    from sertk.datadir.edit import fix

    for line in fix(folder):
        log.warning("%s", line)
    remaining = list(problems(folder))
    if remaining:
        raise SertkError(f"{folder}: {len(remaining)} problems remain (validate-data lists them): {remaining[0]}")
    log.info("%s: valid", folder)
