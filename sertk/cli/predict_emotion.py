"""predict-emotion: posterior probabilities of the labels for whole segments."""

from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.options import device_option, max_skip_option, threads_option
from sertk.cli.tally import Tally, progress
from sertk.cli.training import precision_option
from sertk.cli.types import FILE, RSPECIFIER, WSPECIFIER
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier, Wspecifier


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("posteriors", metavar="POSTERIORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--utt2fold", type=FILE, metavar="FILE", help="Folds of the segments, for --fold.")
@click.option("--fold", metavar="N", help="Process the segments of this fold only.")
@precision_option
@max_skip_option
@device_option
@threads_option
def main(
    model: Path,
    feats: Rspecifier,
    posteriors: Wspecifier,
    utt2fold: Path | None,
    fold: str | None,
    max_skip: float,
    **options: Any,
) -> None:
    """Compute the posterior probabilities of the model's labels for whole segments of any length.

    A head on vectors (transfer-head none) takes a table of such vectors instead of features; of a matrix with several
    rows it gives the mean over the rows.

    The output is a vector for each segment; the table's manifest names the labels in the vector's order.

    \b
    e.g.: predict-emotion exp/exp1/1/final.pt scp:data/all/feats.scp ark,t:-
          predict-emotion --utt2fold folds/utt2fold --fold 1 exp/exp1/1/final.pt scp:feats.scp ark:scores.1.ark
          predict-emotion exp/functionals/1/final.pt scp:vectors.scp ark,t:-
    See also: score-loso, classify-audio
    """
    if (utt2fold is None) != (fold is None):
        raise click.UsageError("--utt2fold and --fold go together")
    from sertk.datadir.lists import read_list
    from sertk.jobs.embed import embed
    from sertk.kaldi.tables import table_writer

    wanted, missing = None, set()
    if fold is not None:
        missing = {key for key, its_fold in read_list(utt2fold).items() if its_fold == fold}
        if not missing:
            raise SertkError(f"{utt2fold}: no segment is in fold {fold}")
        wanted = frozenset(missing).__contains__
    tally = Tally(feats, max_skip)

    def skip(key: str, reason: str) -> None:
        missing.discard(key)
        tally.skip(key, reason)

    results, total, settings = embed(model, feats, "posterior", wanted=wanted, skip=skip, **options)
    with tally, table_writer(posteriors, kind="vector", settings=settings) as write:
        for key, probabilities in progress(results, total):
            write(key, probabilities)
            missing.discard(key)
            tally.done()
        for key in sorted(missing):
            tally.skip(key, f"in fold {fold}, but has no features")
        tally.check()
