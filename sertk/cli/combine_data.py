"""combine-data: put data folders together."""

import logging

import click

from sertk.cli.options import FOLDER, command

log = logging.getLogger("sertk")


@command
@click.argument("out", metavar="OUT-DIR", type=FOLDER)
@click.argument("folders", metavar="DATA-DIR…", type=FOLDER, nargs=-1, required=True)
def main(out, folders):
    """Put data folders together; a list that not all of them have is left out, with a warning.

    The order is that of Kaldi's combine_data.sh: OUT-DIR comes first. An utterance that is in two folders is an error,
    and so is a speaker or recording with two different lines. What else OUT-DIR holds stays as it is; lists of what it
    held before, that do not fit, are moved to OUT-DIR/.backup.

    \b
    e.g.: combine-data data/train data/vox1 data/vox2
    See also: subset-data, split-data
    """
    from sertk.datadir.edit import combine

    if (out / "utt2spk").exists() and not (folders[-1] / "utt2spk").exists():
        order = " ".join(map(str, ["combine-data", folders[-1], out, *folders[:-1]]))
        raise click.UsageError(f"{folders[-1]} is no data folder: OUT-DIR comes first, as in {order}")
    found, told = combine(folders, out)
    for line in told:
        log.warning("%s", line)
    log.info("wrote %s: %d utterances", out, len(found.utterances))
