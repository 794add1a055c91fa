"""combine-data: merge data folders."""

import logging
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.types import FOLDER

log = logging.getLogger("sertk")


@command
@click.argument("out", metavar="OUT-DIR", type=FOLDER)
@click.argument("folders", metavar="DATA-DIR…", type=FOLDER, nargs=-1, required=True)
def main(out: Path, folders: tuple[Path, ...]) -> None:
    """Merge data folders; a list that not all of them have is left out, with a warning.

    OUT-DIR comes first, as in Kaldi's combine_data.sh. An utterance in two folders is an error, and so is a speaker or
    recording with two different lines. Other files in OUT-DIR are left alone; lists there that do not match the new
    ones are moved to OUT-DIR/.backup.

    \b
    e.g.: combine-data data/train data/vox1 data/vox2
    See also: subset-data, split-data
    """
    from sertk.datadir.combine import combine

    if (out / "utt2spk").exists() and not (folders[-1] / "utt2spk").exists():
        order = " ".join(map(str, ["combine-data", folders[-1], out, *folders[:-1]]))
        raise click.UsageError(f"{folders[-1]} is not a data folder: OUT-DIR comes first, as in {order}")
    data, warnings = combine(folders, out)
    for line in warnings:
        log.warning("%s", line)
    log.info("wrote %s: %d utterances", out, len(data.utterances))
