"""combine-data: put data folders together."""

import logging

import click

from sertk.cli.options import FOLDER, command

log = logging.getLogger("sertk")


@command
@click.argument("folders", metavar="DATA-DIR…", type=FOLDER, nargs=-1, required=True)
@click.argument("out", metavar="OUT-DIR", type=FOLDER)
def main(folders, out):
    """Put data folders together; a list that not all of them have is left out, with a warning.

    An utterance that is in two of them is an error, and so is a speaker or recording with two different lines.

    \b
    e.g.: combine-data data/vox1 data/vox2 data/train
    See also: subset-data, split-data
    """
    from sertk.datadir.edit import combine

    found, left_out = combine(folders, out)
    for name in left_out:
        log.warning("%s: left out, since not every folder has it", name)
    log.info("wrote %s: %d utterances", out, len(found.utterances))
