"""train-resnet: a network that tells speakers, or emotions, apart."""

import click

from sertk.cli.options import (
    BOOL,
    FILE,
    FOLDER,
    NUMBERS,
    RSPECIFIER,
    command,
    device_option,
    group,
    max_skip_option,
    seed_option,
    threads_option,
)
from sertk.cli.training import (
    POLICY_NAMES,
    EpochBar,
    catch_signals,
    check_balance,
    precision_option,
    schedule_options,
    select_option,
    target_options,
)

network_options = group(
    "The network",
    click.option("--channels", type=click.IntRange(1),
                 help="Channels of the first of four stages, each later one has twice as many.  [default: 32]"),
    click.option("--blocks", type=NUMBERS, help="Residual blocks of the four stages.  [default: 3,4,6,3]"),
    click.option("--pooling", type=click.Choice(["stats", "mean", "none"]),
                 help="Over frames: mean and deviation, mean, or none (chunks of one length).  [default: stats]"),
    click.option("--embedding-dim", type=click.IntRange(1), help="Size of the layer before the output.  [default: 256]"),
    click.option("--activation", type=click.Choice(["prelu", "prelu-channel", "relu"]),
                 help="PReLU with a slope for each layer or for each channel, or ReLU.  [default: prelu]"),
)  # fmt: skip
chunk_options = group(
    "Chunks and masks",
    click.option("--chunk-frames", type=NUMBERS, default="150,200,250,300", show_default=True,
                 help="Lengths of chunks, one of them drawn for each batch."),
    click.option("--augment", type=POLICY_NAMES, default="none,conservative,aggressive", show_default=True,
                 help="Versions of each segment in an epoch: none (no masks), conservative, aggressive, or F:W:p:Nf:Nt"
                      " (widest mask in bins, in frames and as a part of the chunk; number over bins and over frames)."),
    click.option("--padding", type=click.Choice(["repeat", "zero", "edge"]), default="repeat", show_default=True,
                 help="What fills up a segment that is shorter than the chunk."),
    click.option("--mask-scope", type=click.Choice(["chunk", "segment"]), default="chunk", show_default=True,
                 help="Draw masks over the chunk, or over the segment before it is cut."),
)  # fmt: skip
copies_option = group(
    "Chunks and masks",
    click.option("--copies", type=click.IntRange(1), default=1, show_default=True,
                 help="Chunks of each version in an epoch."),
)  # fmt: skip
init_options = group(
    "Starting from another network",
    click.option("--init", type=FILE, metavar="MODEL", help="Start from this model; where labels differ its head is new."),
    click.option("--train", default="all", show_default=True, metavar="all|head|from-block-N",
                 help="What is trained; the rest is frozen."),
    click.option("--frozen-batchnorm", type=click.Choice(["eval", "train"]), default="eval", show_default=True,
                 help="What is frozen normalises by the statistics that it came with, or by each batch's."),
    click.option("--trunk-scale", "--trunk-lr-scale", type=click.FloatRange(0, min_open=True), default=None,
                 help="The trunk's part of the learning rate.  [default: 1; with --init 0.1]"),
)  # fmt: skip
fold_options = group(
    "What is held out, and the epoch that is kept",
    click.option("--utt2fold", type=FILE, metavar="FILE", help="Folds of the segments, for --fold."),
    click.option("--fold", metavar="N", help="Do not train on this fold."),
    select_option,
)
run_options = group(
    "The run",
    precision_option,
    click.option("--compile", type=click.Choice(["auto", "true", "false"]), default="auto", show_default=True,
                 help="Compile the network for each chunk length; auto: bf16 runs so long that it pays."),
    click.option("--sync-batchnorm", type=BOOL, default=False, show_default=True,
                 help="BatchNorm over the chunks of all processes, as one would do it, not over each one's own."),
    click.option("--checkpoint-every", type=click.FloatRange(0), default=10, show_default=True, metavar="MINUTES",
                 help="Checkpoint inside an epoch too: after a kill no more than this is trained again."),
    click.option("--keep", type=click.IntRange(0), default=0, show_default=True, metavar="N",
                 help="Keep the models of the last N epochs, as DIR/epoch.N.pt, for average-models."),
    click.option("--tensorboard", type=FOLDER, metavar="DIR", help="Write the epochs' figures for TensorBoard too."),
    click.option("--restart", type=BOOL, default=False, show_default=True,
                 help="Begin again; an old run is kept aside."),
    max_skip_option,
    seed_option,
    device_option,
    threads_option,
)  # fmt: skip


@command
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("utt2label", metavar="UTT2LABEL", type=FILE)
@click.argument("directory", metavar="DIR", type=FOLDER)
@network_options
@chunk_options
@copies_option
@schedule_options
@target_options
@init_options
@fold_options
@run_options
def main(feats, utt2label, directory, **options):
    """Train a ResNet34 on chunks of FEATS to tell the labels in UTT2LABEL apart; DIR/final.pt is the network.

    It is a trunk of convolutions, pooling over frames, and a head of two fully connected layers. A chunk is a piece
    of a segment, in frames of 10 ms; an epoch passes over all segments. The defaults are the paper's.

    Called again with the same arguments, it goes on from its last checkpoint. TERM and USR1 make it
    checkpoint and exit with 75: run it again. Under torchrun or srun every process takes its share of each batch;
    one that is asked to stop stops them all.

    \b
    e.g.: train-resnet scp:data/train/feats.scp data/train/utt2spk exp/resnet34
          train-resnet --config conf/speaker.conf --device cpu scp:feats.scp utt2spk exp/resnet34
          train-resnet --init exp/resnet34/final.pt --train from-block-14 --utt2fold folds/utt2fold --fold 1 \\
            scp:feats.scp folds/utt2label exp/finetuned/1
    See also: transfer-head, embed-segments, predict-emotion
    """
    if (options["utt2fold"] is None) != (options["fold"] is None):
        raise click.UsageError("--utt2fold and --fold go together")
    if options["select"] != "last" and options["fold"] is None:
        raise click.UsageError(
            f"--select {options['select']} chooses by a fold: --utt2fold and --fold say which is held out"
        )
    if options["train"] != "all" and options["init"] is None:
        raise click.UsageError(f"--train {options['train']} keeps the rest of a network as it is: --init names it")
    check_balance(options)
    if options["train"] == "all" and options["frozen_batchnorm"] == "train":
        raise click.UsageError("--frozen-batchnorm train: nothing is frozen (--train head or from-block-N)")
    if options["blocks"] and len(options["blocks"]) != 4:
        raise click.UsageError(f"--blocks: four stages have four numbers, found {len(options['blocks'])}")
    stop = catch_signals()
    from sertk.jobs.train import train_network

    return train_network(feats, utt2label, directory, EpochBar, stop, **options)
