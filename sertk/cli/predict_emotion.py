"""predict-emotion: posterior probabilities of the labels for whole segments."""

from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.options import device_option, max_skip_option, threads_option
from sertk.cli.tally import Tally, progress
from sertk.cli.training import precision_option
from sertk.cli.types import FILE, RSPECIFIER, WSPECIFIER
from sertk.kaldi.specifiers import Rspecifier, Wspecifier, parse_wspecifier


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("posteriors", metavar="POSTERIORS-WSPECIFIER", type=WSPECIFIER)
@click.option("--utt2fold", type=FILE, metavar="FILE", help="Folds of the segments, for --fold.")
@click.option("--fold", metavar="N,N,…|all",
              help="Process the segments of these folds only; FOLD in MODEL and POSTERIORS-WSPECIFIER stands for"
                   " each fold.")  # fmt: skip
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
          predict-emotion --utt2fold folds/utt2fold --fold all \\
            exp/exp1/FOLD/final.pt scp:feats.scp ark:exp/exp1/FOLD/scores.ark
          predict-emotion exp/functionals/1/final.pt scp:vectors.scp ark,t:-
    See also: score-loso, classify-audio
    """
    if (utt2fold is None) != (fold is None):
        raise click.UsageError("--utt2fold and --fold go together")
    if fold is None:
        _predict(model, feats, posteriors, None, Tally(feats, max_skip), None, options)
        return
    from sertk.datadir.foldnames import check_place, chosen_folds, of_fold, several
    from sertk.datadir.lists import read_list
    from sertk.kaldi.writer import published_together

    check_place(str(posteriors), fold)
    if several(fold) and feats.filename == "-":
        raise click.UsageError(f"--fold {fold}: standard input can be read for one fold only")
    fold_of = read_list(utt2fold)
    with published_together() as together:
        for name in chosen_folds(fold, fold_of.values(), utt2fold):
            segments = {
                key: f"in fold {name}, but has no features" for key, its_fold in fold_of.items() if its_fold == name
            }
            source, target = Path(of_fold(str(model), name)), parse_wspecifier(of_fold(str(posteriors), name))
            _predict(source, feats, target, segments, Tally(feats, max_skip), together, options)


def _predict(
    model: Path,
    feats: Rspecifier,
    posteriors: Wspecifier,
    segments: dict[str, str] | None,
    tally: Tally,
    together: list | None,
    options: dict[str, Any],
) -> None:
    """Write the posteriors of a model.

    Args:
        model: the model file.
        feats: features.
        posteriors: where to write.
        segments: the segments to process, with what is said of one that has no features; None: all that have features.
        tally: counts them.
        together: tables that are published with this one.
        options: precision, device and threads.
    """
    from sertk.jobs.embed import embed
    from sertk.kaldi.tables import table_writer

    missing = dict(segments or {})

    def skip(key: str, reason: str) -> None:
        missing.pop(key, None)
        tally.skip(key, reason)

    wanted = frozenset(segments).__contains__ if segments else None
    results, total, settings = embed(model, feats, "posterior", wanted=wanted, skip=skip, **options)
    with tally, table_writer(posteriors, kind="vector", settings=settings, together=together) as write:
        for key, probabilities in progress(results, total):
            write(key, probabilities)
            missing.pop(key, None)
            tally.done()
        for key, reason in sorted(missing.items()):
            tally.skip(key, reason)
        tally.check()
