"""subset-data: a data folder with some of another's utterances."""

import logging
from pathlib import Path

import click

from sertk.cli.options import FILE, command

log = logging.getLogger("sertk")

ORDER = "subset-data [--first|--last|--shortest|--per-spk|--speakers] DATA-DIR N OUT-DIR"


@command
@click.argument("words", metavar="DATA-DIR [N] OUT-DIR", nargs=-1)
@click.option("--first", is_flag=True, help="The first N utterances.")
@click.option("--last", is_flag=True, help="The last N utterances.")
@click.option("--shortest", is_flag=True, help="The N shortest utterances, by utt2num_frames or feats.scp.")
@click.option("--per-spk", is_flag=True, help="N utterances of every speaker, spread over what there is of him.")
@click.option("--speakers", is_flag=True, help="Speakers at random, until they have N utterances.")
@click.option("--utt-list", type=FILE, help="The utterances that the first column of this file names; no N.")
@click.option("--spk-list", type=FILE, help="The speakers that the first column of this file names; no N.")
def main(words, utt_list, spk_list, **flags):
    """Write OUT-DIR with some of the utterances of DATA-DIR, in all of its lists: without an option N, spread evenly.

    Order and choice are those of Kaldi's subset_data_dir.sh. What else OUT-DIR holds stays as it is; lists of what it
    held before, that do not fit, are moved to OUT-DIR/.backup.

    \b
    e.g.: subset-data --per-spk data/train 2 data/train_small
          subset-data --utt-list trials.utts data/all data/test
    See also: split-data, combine-data
    """
    from sertk.datadir.edit import subset

    names_from = utt_list or spk_list
    modes = [name.replace("_", "-") for name, given in flags.items() if given]
    modes += ["utt-list"] * (utt_list is not None) + ["spk-list"] * (spk_list is not None)
    if len(modes) > 1:
        raise click.UsageError(f"--{modes[0]} and --{modes[1]} do not go together.")
    if len(words) != (2 if names_from else 3) or not all(words):
        raise click.UsageError("The order is subset-data --utt-list FILE DATA-DIR OUT-DIR." if names_from
                               else f"The order is {ORDER}.")  # fmt: skip
    if not names_from and not (words[1].isascii() and words[1].isdigit() and int(words[1]) > 0):
        raise click.UsageError(f"N is '{words[1]}': the order is {ORDER}.")
    folder, out = Path(words[0]), Path(words[-1])
    found, told = subset(folder, out, modes[0] if modes else "spread", 0 if names_from else int(words[1]), names_from)
    for line in told:
        log.warning("%s", line)
    log.info("wrote %s: %d utterances", out, len(found.utterances))
