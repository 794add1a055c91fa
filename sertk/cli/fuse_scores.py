"""fuse-scores: weighted mean of the posteriors of several systems."""

from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.types import FOLDER, WEIGHTS
from sertk.scoring.leakguard import FOLDS, INNER


class _Weights(click.ParamType):
    """Weights, or what they are fitted on."""

    name = "weights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...] | str:
        """Convert a text like 2,1; a word stays."""
        return value if value in (FOLDS, INNER) else WEIGHTS.convert(value, param, ctx)


@command
@click.argument("fold_dir", metavar="FOLD-DIR", type=FOLDER)
@click.argument("systems", metavar="SYSTEM…", nargs=-1, required=True)
@click.argument("out", metavar="DIR", type=FOLDER)
@click.option(
    "--weights",
    type=_Weights(),
    metavar=f"W,W,…|{FOLDS}|{INNER}",
    default=None,
    help="Weight of each system, in their order; or fit them for each fold on the scores of the other folds, or on inner"
    " scores of its training segments.  [default: equal]",
)
@click.option(
    "--average",
    type=click.Choice(["log", "linear"]),
    default="log",
    show_default=True,
    help="Mean of the logarithms of the probabilities, or of the probabilities.",
)
def main(
    fold_dir: Path, systems: tuple[str, ...], out: Path, weights: tuple[float, ...] | str | None, average: str
) -> None:
    """Average the posteriors of SYSTEMs, experiment folders with the folds of FOLD-DIR: writes DIR/1/scores.ark, ….

    A SYSTEM with several training runs (seed0/1/scores.ark, …) counts as one, its runs in equal parts: of one such SYSTEM the
    result is the ensemble of its runs. What the models of all systems were trained on goes along, so that the leak guard checks
    each of them when the result is scored.

    Weights must not be chosen by scores on these folds: such scores are too good. Equal weights need no choice. With --weights
    folds, each fold's weights and temperature are fitted by maximum likelihood on the scores of the other folds. These are by
    networks that have trained on the fold, so that results are stamped CROSS-FITTED. With --weights inner they are fitted on
    SYSTEM/FOLD/inner.ark, which transfer-head --inner-scores true writes: nothing of the fold has a part in them.

    \b
    e.g.: fuse-scores exp/folds exp/transfer exp/scratch exp/fusion
          fuse-scores --weights 2,1 --average linear exp/folds exp/transfer exp/scratch exp/fusion
          fuse-scores --weights folds exp/folds exp/transfer exp/scratch exp/stacked
    See also: score-loso, import-scores
    """
    from sertk.datadir.overwrite import check_distinct
    from sertk.errors import SertkError
    from sertk.kaldi.writer import published_together, table_writer
    from sertk.scoring.fusion import fuse
    from sertk.scoring.testset import read_test

    if isinstance(weights, str) and average == "linear":
        raise click.UsageError(f"--weights {weights} fits factors of log probabilities: not with --average linear")
    check_distinct(out, [fold_dir, *(system for system in systems if Path(system).is_dir())])
    test = read_test(fold_dir / "utt2label", fold_dir / "utt2fold", None)
    if trained := sorted([*out.glob("*/final.pt"), *out.glob("seed*/*/final.pt")]):
        raise SertkError(
            f"{out}: has models, such as {trained[0]}: scores of a fusion go to a folder of their own (DIR)"
        )
    fused = fuse(test, systems, weights, average)
    with published_together() as together:
        for fold, settings in fused.settings.items():
            folder = out / str(fold)
            folder.mkdir(parents=True, exist_ok=True)
            with table_writer(f"ark:{folder}/scores.ark", kind="vector", settings=settings, together=together) as write:
                for key, vector in zip(test.keys, fused.posteriors):
                    if test.utt2fold[key] == fold:
                        write(key, vector.astype("float32"))
    log.info("Done %d segments in %d folds", len(test.keys), len(fused.settings))
