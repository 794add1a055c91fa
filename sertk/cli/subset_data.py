"""subset-data: a data folder with some of another's utterances."""

import logging

import click

from sertk.cli.options import FILE, FOLDER, command

log = logging.getLogger("sertk")


@command
@click.argument("folder", metavar="DATA-DIR", type=FOLDER)
@click.argument("out", metavar="OUT-DIR", type=FOLDER)
@click.option("--utt-list", type=FILE, help="The utterances that the first column of this file names.")
@click.option("--spk-list", type=FILE, help="The speakers that the first column of this file names.")
@click.option("--first", type=click.IntRange(1), help="The first so many utterances.")
@click.option("--per-spk", type=click.IntRange(1), help="The first so many utterances of every speaker.")
def main(folder, out, utt_list, spk_list, first, per_spk):
    """Write OUT-DIR with some of the utterances of DATA-DIR, in all of its lists.

    \b
    e.g.: subset-data --per-spk 10 data/train data/train_small
          subset-data --utt-list trials.utts data/all data/test
    See also: split-data, combine-data
    """
    from sertk.datadir.edit import chosen, subset

    given = [value for value in (utt_list, spk_list, first, per_spk) if value is not None]
    if len(given) != 1:
        raise click.UsageError("One of --utt-list, --spk-list, --first and --per-spk is wanted.")
    found = subset(folder, out, lambda data: chosen(data, utt_list, spk_list, first, per_spk))
    log.info("wrote %s: %d utterances", out, len(found.utterances))
