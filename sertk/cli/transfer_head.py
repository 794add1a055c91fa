"""transfer-head: new heads on a frozen trunk, one for each held-out fold."""

from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.generated import options_of
from sertk.cli.gridfile import read_grid
from sertk.cli.options import device_option, only_for, seed_option, threads_option
from sertk.cli.training import (
    HELD_OUT,
    catch_signals,
    check_balance,
    check_descent,
    schedule_options,
    select_option,
    target_options,
)
from sertk.cli.types import FILE, RSPECIFIER
from sertk.jobs.options import HeadOptions
from sertk.kaldi.specifiers import Rspecifier
from sertk.options import take_options
from sertk.training.settings import HeadSettings


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("draws", metavar="DRAWS-RSPECIFIER", type=RSPECIFIER)
@click.argument("sets", metavar="UTT2LABEL UTT2FOLD DIR…", type=FILE, nargs=-1, required=True)
@options_of(HeadSettings, "The head", "embedding_dim", "layer_weights")
@schedule_options
@target_options
@options_of(HeadOptions, HELD_OUT, "folds")
@select_option
@options_of(HeadOptions, HELD_OUT, "eval_vectors", "grid", "grid_criterion", "inner_scores")
@options_of(HeadOptions, "The head", "pooling", "aux", "trained_on", "stack")
@seed_option
@device_option
@threads_option
def main(model: Path, draws: Rspecifier, sets: tuple[Path, ...], **options: Any) -> int:
    """Train new fully connected layers on MODEL's frozen trunk, once for each held-out fold.

    DRAWS is the output of embed-segments --draws for the same model: the trunk's output for the masked chunks of every
    epoch. DIR/FOLD/final.pt is the whole network, trunk and new head. On draws of maps (--at map) it is a network
    without pooling, or with --pooling attentive. Several label sets, UTT2LABEL UTT2FOLD DIR each, are trained in one pass
    over the draws.

    With MODEL none, heads are trained on any table of vectors (functionals, x-vectors), or of matrices whose rows are
    draws, used in turn. Columns are standardised over each head's training segments. predict-emotion takes DIR/FOLD/final.pt
    and such vectors.

    With --aux, the head also takes what normalisation removed from each segment: level and spectrum of the voice. The network
    then takes features that are not normalised, and normalises them itself.

    With --grid, the settings of each head are chosen inside its training folds; DIR/FOLD/grid.tsv has all scores. With
    --inner-scores, fuse-scores can fit the weights of a fusion without the test fold.

    If rerun, it skips finished heads and resumes the others. TERM and USR1 make it exit with 75: run it again.

    \b
    e.g.: transfer-head exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1
          transfer-head --folds 3 --epochs 10 exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1
          transfer-head exp/resnet34/final.pt scp:draws.scp folds.exp1/utt2label folds.exp1/utt2fold exp/exp1 \\
            folds.exp3/utt2label folds.exp3/utt2fold exp/exp3
          transfer-head --select dev-session --eval-vectors scp:whole.scp exp/resnet34/final.pt scp:draws.scp \\
            folds/utt2label folds/utt2fold exp/exp1_dev-session
          transfer-head --embedding-dim 0 --trained-on nothing none scp:vectors.scp \\
            folds/utt2label folds/utt2fold exp/functionals
          transfer-head --grid conf/head.grid none scp:vectors.scp folds/utt2label folds/utt2fold exp/chosen
          transfer-head --pooling attentive exp/resnet34/final.pt scp:maps.scp folds/utt2label folds/utt2fold exp/attentive
          transfer-head --aux scp:stats.scp exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/level
    See also: embed-segments, cmvn-segment, predict-emotion, train-resnet
    """
    alone = str(model) == "none"
    if options["pooling"] != "none" and alone:
        raise click.UsageError("--pooling is for maps, draws of a MODEL (embed-segments --draws N --at map)")
    if options["aux"] and alone:
        raise click.UsageError("--aux is for a MODEL's draws; vectors are put side by side by join-vectors")
    only_for("vectors without a network (MODEL none)", alone, "layer_weights", "trained_on", options=options)
    only_for("--grid", options["grid"], "grid_criterion", options=options)
    selects, whole = options["select"] != "last", options["eval_vectors"] is not None
    scores = bool(selects or options["grid"] or options["inner_scores"])
    scored_by = "--select dev-session, --select oracle, --grid and --inner-scores"
    if scores and options["pooling"] != "none":
        raise click.UsageError(f"--pooling takes maps, which whole segments do not have: not with {scored_by}")
    only_for(scored_by, scores, "eval_vectors", options=options)
    if scores and not whole and not alone:
        raise click.UsageError(f"{scored_by} need --eval-vectors: vectors of whole segments")
    if options["grid"] and selects:
        raise click.UsageError("--grid chooses the epochs too: not with --select dev-session or --select oracle")
    if options["inner_scores"] and selects:
        raise click.UsageError(
            "--inner-scores are those of last epochs: not with --select dev-session or --select oracle"
        )
    if len(sets) % 3:
        raise click.UsageError(f"label sets are UTT2LABEL UTT2FOLD DIR each, but {len(sets)} paths were given")
    label_sets = list(zip(sets[0::3], sets[1::3], sets[2::3]))
    if len({directory.resolve() for _, _, directory in label_sets}) < len(label_sets):
        raise click.UsageError("each label set has a DIR of its own")
    check_balance(options)
    check_descent(options)
    if options["grid"]:
        options["grid"] = read_grid(options["grid"], click.get_current_context().command.params)
        balances = [options["grid"].values.get(name, [options[name]]) for name in ("class_weights", "sampling")]
        if all("balanced" in values for values in balances):
            raise click.UsageError("--class-weights balanced and --sampling balanced do the same: not both in a grid")
    stop_requested = catch_signals()
    from sertk.jobs.heads import train_all_heads

    settings, job = take_options(HeadSettings, options), take_options(HeadOptions, options)
    return train_all_heads(model, draws, label_sets, settings, job, stop_requested)
