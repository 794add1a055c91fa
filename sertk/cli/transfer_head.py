"""transfer-head: new heads on a frozen trunk, one for each held-out fold."""

import click

from sertk.cli.options import FILE, RSPECIFIER, command, device_option, group, seed_option, threads_option
from sertk.cli.training import HELD_OUT, catch_signals, check_balance, schedule_options, select_option, target_options

fold_options = group(
    HELD_OUT,
    click.option("--folds", metavar="N,N,…", help="The folds to hold out, a head for each.  [default: all]"),
    select_option,
    click.option("--eval-vectors", type=RSPECIFIER, metavar="RSPECIFIER",
                 help="What --select looks at: vectors of whole segments, of embed-segments --at pool."),
)  # fmt: skip


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("draws", metavar="DRAWS-RSPECIFIER", type=RSPECIFIER)
@click.argument("sets", metavar="UTT2LABEL UTT2FOLD DIR…", type=FILE, nargs=-1, required=True)
@schedule_options
@target_options
@fold_options
@seed_option
@device_option
@threads_option
def main(model, draws, sets, folds, **options):
    """Train the fully connected layers anew on MODEL's frozen trunk, once for each fold held out.

    DRAWS is what embed-segments --draws has written with the same model: the trunk's output for the masked chunks
    of every epoch. DIR/FOLD/final.pt is the whole network, trunk and new head. On draws of maps (--at map) it is a
    network without pooling. Several label sets, UTT2LABEL UTT2FOLD DIR each, share one reading of the draws.

    If rerun, it skips finished heads and resumes the others. TERM and USR1 make it exit with 75: run it again.

    \b
    e.g.: transfer-head exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1
          transfer-head --folds 3 --epochs 10 exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1
          transfer-head exp/resnet34/final.pt scp:draws.scp folds.exp1/utt2label folds.exp1/utt2fold exp/exp1 \\
            folds.exp3/utt2label folds.exp3/utt2fold exp/exp3
          transfer-head --select dev-session --eval-vectors scp:whole.scp exp/resnet34/final.pt scp:draws.scp \\
            folds/utt2label folds/utt2fold exp/exp1_dev-session
    See also: embed-segments, predict-emotion, train-resnet
    """
    if (options["select"] == "last") != (options["eval_vectors"] is None):
        raise click.UsageError("--select dev-session and --select oracle, and they alone, take --eval-vectors")
    if len(sets) % 3:
        raise click.UsageError(f"UTT2LABEL UTT2FOLD DIR come in threes, {len(sets)} were given")
    if len({directory.resolve() for directory in sets[2::3]}) < len(sets) // 3:
        raise click.UsageError("each label set has a DIR of its own")
    wanted = folds.split(",") if folds is not None else None
    if wanted and ("" in wanted or len(set(wanted)) < len(wanted)):
        raise click.UsageError(f"--folds '{folds}': wanted names with commas between them, each once")
    check_balance(options)
    stop = catch_signals()
    from sertk.jobs.heads import train_all_heads

    threes = list(zip(*[iter(sets)] * 3))
    return train_all_heads(model, draws, threes, wanted, stop, **options)
