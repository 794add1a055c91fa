"""subset-data: some utterances of a data folder."""

import logging
from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.types import FILE

log = logging.getLogger("sertk")

ORDER = "subset-data [--first|--last|--shortest|--per-spk|--speakers] DATA-DIR N OUT-DIR"


@command
@click.argument("words", metavar="DATA-DIR [N] OUT-DIR", nargs=-1)
@click.option("--first", is_flag=True, help="The first N utterances.")
@click.option("--last", is_flag=True, help="The last N utterances.")
@click.option("--shortest", is_flag=True, help="The N shortest utterances, by utt2num_frames or feats.scp.")
@click.option("--per-spk", is_flag=True, help="N utterances of each speaker, evenly spread.")
@click.option("--speakers", is_flag=True, help="Random speakers until there are N utterances.")
@click.option("--utt-list", type=FILE, help="The utterances in the first column of this file; without N.")
@click.option("--spk-list", type=FILE, help="The speakers in the first column of this file; without N.")
def main(words: tuple[str, ...], utt_list: Path | None, spk_list: Path | None, **flags: bool) -> None:
    """Write some utterances of DATA-DIR, with all its lists, to OUT-DIR; by default N, evenly spread.

    Order and choice are those of Kaldi's subset_data_dir.sh. Other files in OUT-DIR are left alone; lists there that do
    not match the new ones are moved to OUT-DIR/.backup.

    \b
    e.g.: subset-data --per-spk data/train 2 data/train_small
          subset-data --utt-list trials.utts data/all data/test
    See also: split-data, combine-data
    """
    from sertk.datadir.subset import subset

    names_from = utt_list or spk_list
    modes = [name.replace("_", "-") for name, given in flags.items() if given]
    modes += ["utt-list"] * (utt_list is not None) + ["spk-list"] * (spk_list is not None)
    if len(modes) > 1:
        raise click.UsageError(f"--{modes[0]} and --{modes[1]} do not go together.")
    if len(words) != (2 if names_from else 3) or not all(words):
        order = "subset-data --utt-list FILE DATA-DIR OUT-DIR" if names_from else ORDER
        raise click.UsageError(f"The order is {order}.")
    if not names_from and not (words[1].isascii() and words[1].isdigit() and int(words[1]) > 0):
        raise click.UsageError(f"N is '{words[1]}': the order is {ORDER}.")
    folder, out = Path(words[0]), Path(words[-1])
    number = 0 if names_from else int(words[1])
    data, warnings = subset(folder, out, modes[0] if modes else "spread", number, names_from)
    for line in warnings:
        log.warning("%s", line)
    log.info("wrote %s: %d utterances", out, len(data.utterances))
