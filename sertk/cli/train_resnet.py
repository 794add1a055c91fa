"""train-resnet: train a ResNet34 to classify speakers or emotions."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from sertk.cli.command import command
from sertk.cli.generated import option_of, options_of
from sertk.cli.options import device_option, group, max_skip_option, only_for, seed_option, threads_option
from sertk.cli.training import (
    HELD_OUT,
    EpochBar,
    catch_signals,
    check_balance,
    check_descent,
    schedule_options,
    select_option,
    target_options,
)
from sertk.cli.types import FILE, FOLDER, RSPECIFIER
from sertk.jobs.options import TrainingOptions
from sertk.kaldi.specifiers import Rspecifier
from sertk.models.spec import CLASSIFIER_OPTIONS, NETWORK_OPTIONS, NetworkSpec
from sertk.options import take_options
from sertk.training.settings import TrainingSettings

CHUNK_OPTIONS = ("chunk_frames", "augment", "padding", "mask_scope")
chunk_options = options_of(TrainingSettings, "Chunks and masks", *CHUNK_OPTIONS)
LOSS = "Loss"
MARGIN_OPTIONS = ("margin", "margin_from", "margin_to", "inter_topk", "inter_topk_penalty")
run_options = group(
    "The run",
    *(option_of(TrainingSettings.__dataclass_fields__[name]) for name in ("precision", "compile", "sync_batchnorm")),
    *(
        option_of(TrainingOptions.__dataclass_fields__[name])
        for name in ("checkpoint_every", "keep", "tensorboard", "restart")
    ),
    max_skip_option,
    seed_option,
    device_option,
    threads_option,
)


@command
@click.argument("feats", metavar="FEATS-RSPECIFIER", type=RSPECIFIER)
@click.argument("utt2label", metavar="UTT2LABEL", type=FILE)
@click.argument("directory", metavar="DIR", type=FOLDER)
@options_of(NetworkSpec, "The network", *NETWORK_OPTIONS)
@chunk_options
@options_of(TrainingSettings, "Chunks and masks", "copies")
@schedule_options
@options_of(TrainingSettings, LOSS, "loss", *MARGIN_OPTIONS)
@options_of(NetworkSpec, LOSS, *CLASSIFIER_OPTIONS)
@target_options
@options_of(TrainingOptions, "Starting from another network", "init")
@options_of(TrainingSettings, "Starting from another network", "train", "frozen_batchnorm", "trunk_scale")
@options_of(TrainingOptions, HELD_OUT, "utt2fold", "fold")
@select_option
@run_options
def main(feats: Rspecifier, utt2label: Path, directory: Path, **options: Any) -> int:
    """Train a ResNet34 on chunks of FEATS to classify the labels in UTT2LABEL; DIR/final.pt is the network.

    It is a trunk of convolutions, pooling over frames, and a head of two fully connected layers. A chunk is a piece
    of a segment, in frames of 10 ms; an epoch passes over all segments. The defaults are the paper's.

    With several folds in --fold, their networks are trained in this process: the same bytes as a call for each. If
    rerun, it resumes from the last checkpoint. TERM and USR1 make it checkpoint and exit with 75: run it again. Under
    torchrun or srun every process takes its share of each batch; a signal to one stops them all.

    \b
    e.g.: train-resnet scp:data/train/feats.scp data/train/utt2spk exp/resnet34
          train-resnet --config conf/speaker.conf --device cpu scp:feats.scp utt2spk exp/resnet34
          train-resnet --init exp/resnet34/final.pt --train from-block-14 --utt2fold folds/utt2fold --fold 1 \\
            scp:feats.scp folds/utt2label exp/finetuned/1
          train-resnet --config conf/speaker.conf --utt2fold folds/utt2fold --fold all \\
            scp:feats.scp folds/utt2label exp/scratch.new/FOLD
    See also: transfer-head, embed-segments, predict-emotion
    """
    if (options["utt2fold"] is None) != (options["fold"] is None):
        raise click.UsageError("--utt2fold and --fold go together")
    if options["select"] != "last" and options["fold"] is None:
        raise click.UsageError(f"--select {options['select']} needs a held-out fold: give --utt2fold and --fold")
    if options["train"] != "all" and options["init"] is None:
        raise click.UsageError(f"--train {options['train']} freezes a part of an initial network: give --init")
    check_balance(options)
    check_descent(options)
    check_loss(options)
    only_for("--train head and from-block-N: nothing is frozen", options["train"] != "all", "frozen_batchnorm")
    only_for("--train all and from-block-N: the trunk is frozen", options["train"] != "head", "trunk_scale")
    if options["blocks"] and len(options["blocks"]) != 4:
        raise click.UsageError(f"--blocks takes four numbers, one a stage, but {len(options['blocks'])} were given")
    stop_requested = catch_signals()
    network_options = {field.name: options.pop(field.name) for field in fields(NetworkSpec) if field.name in options}
    options["trunk_scale"] = options["trunk_scale"] or (0.1 if options["init"] else 1.0)
    settings, job = take_options(TrainingSettings, options), take_options(TrainingOptions, options)
    words = (feats, utt2label, directory, network_options, settings, job, EpochBar, stop_requested)
    if job.fold is None:
        from sertk.jobs.train import train_network

        return train_network(*words)
    from sertk.jobs.train_folds import train_folds

    return train_folds(*words)


def check_loss(options: dict[str, Any]) -> None:
    """Check that the options of a margin loss fit together.

    Raises:
        click.UsageError: they do not.
    """
    margin = options["loss"] != "softmax"
    only_for("--loss am and aam", margin, *MARGIN_OPTIONS, *CLASSIFIER_OPTIONS, options=options)
    if not margin:
        return
    if options["soft_labels"]:
        raise click.UsageError(f"--loss {options['loss']}: a margin is that of one label: leave out --soft-labels")
    first, last = options["margin_from"] or 1, options["margin_to"]
    if last and last < first:
        raise click.UsageError(f"--margin-to {last} is before --margin-from {first}")
    only_for("--inter-topk", options["inter_topk"], "inter_topk_penalty", options=options)
