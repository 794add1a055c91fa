"""make-trials: a list of speaker trials from a data folder."""

from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.generated import options_of
from sertk.cli.messages import log
from sertk.cli.options import seed_option
from sertk.cli.types import FILE, FOLDER
from sertk.errors import SertkError
from sertk.options import take_options
from sertk.scoring.options import DrawOptions


@command
@click.argument("data", metavar="DATA-DIR", type=FOLDER)
@click.argument("trials", metavar="TRIALS", type=FILE)
@options_of(DrawOptions, "Pairs")
@seed_option
def main(data: Path, trials: Path, seed: int, **options: Any) -> None:
    """Draw pairs of DATA-DIR's utterances and write lines `utt1 utt2 target|nontarget`.

    A pair of one speaker is a target. Up to 5000 utterances: choose some of more with subset-data --per-spk.

    \b
    e.g.: make-trials data/test data/test/trials
          make-trials --number 0 --same data/all/utt2session data/all trials
    See also: score-trials, subset-data
    """
    from sertk.atomic import atomic_file
    from sertk.datadir.lists import read_list
    from sertk.datadir.overwrite import check_distinct
    from sertk.scoring.drawtrials import draw_trials

    settings = take_options(DrawOptions, options)
    sources = [data / "utt2spk", settings.apart, settings.same]
    utt2spk, *maps = (path and read_list(path) for path in sources)
    check_distinct(trials, filter(None, sources))
    for path, values in zip(sources[1:], maps):
        if path and (lacking := next((utterance for utterance in utt2spk if utterance not in values), None)):
            raise SertkError(f"{path}: {lacking} is missing, which {sources[0]} has")
    drawn = draw_trials(utt2spk, settings.number, seed, *maps)
    with atomic_file(trials, "w") as file:
        file.writelines(f"{first} {second} {'target' if target else 'nontarget'}\n" for first, second, target in drawn)
    log.info("wrote %s: %d trials, %d of them targets", trials, len(drawn), sum(target for *_, target in drawn))
