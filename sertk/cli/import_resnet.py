"""import-resnet: speaker networks of wespeaker, pyannote.audio or 3D-Speaker as sertk models."""

from pathlib import Path

import click

from sertk.cli.command import TOOLKIT_CONFIG, command
from sertk.cli.messages import log
from sertk.cli.options import licence_option
from sertk.cli.types import FILE


@command
@click.argument("checkpoint", metavar="CHECKPOINT", type=FILE)
@click.argument("model", metavar="MODEL", type=FILE)
@click.option(
    TOOLKIT_CONFIG, "toolkit_config", type=FILE, help="The toolkit's config.yaml; --config FILE.yaml is the same."
)
@click.option(
    "--labels", type=FILE, help="Training speakers, one per line (such as spk2utt); score-trials refuses their trials."
)
@licence_option
@click.option("--trained-on", metavar="TEXT", help="Training data in words: 'VoxCeleb2 dev, 5994 speakers'.")
@click.option(
    "--origin",
    type=click.Choice(["wespeaker", "pyannote", "3d-speaker"]),
    help="Toolkit that trained it; determines front end and pooling.  [default: detected from the file and its config]",
)
@click.option(
    "--num-mel-bins",
    type=click.IntRange(8),
    help="Number of mel bins.  [default: that of config.yaml or of the weights]",
)
@click.option(
    "--deviation",
    type=click.Choice(["unbiased", "population"]),
    help="Estimator of the pooled standard deviation.  [default: unbiased]",
)
@click.option(
    "--epsilon",
    type=click.FloatRange(0),
    help="Added to the pooled variance.  [default: 1e-7 wespeaker, 0 pyannote, 1e-8 3d-speaker and wespeaker before 2022]",
)
def main(
    checkpoint: Path,
    model: Path,
    toolkit_config: Path | None,
    labels: Path | None,
    licence: str | None,
    trained_on: str | None,
    origin: str | None,
    num_mel_bins: int | None,
    deviation: str | None,
    epsilon: float | None,
) -> None:
    """Import a ResNet18 or ResNet34 that was trained by wespeaker, pyannote.audio or 3D-Speaker.

    MODEL is used like a model of train-resnet, by embed-segments, transfer-head and train-resnet --init; its output is
    the embedding, equal to the toolkit's own. For MODEL.pt, the file MODEL.fbank.conf has the options with which
    make-fbank computes its features. Reading CHECKPOINT runs no code from it.

    \b
    e.g.: import-resnet --config config.yaml --licence "CC BY 4.0" avg_model.pt resnet34.pt
          import-resnet --trained-on "VoxCeleb2 dev, 5994 speakers" avg_model.pt resnet34.pt
    See also: make-fbank, embed-segments, transfer-head, train-resnet
    """
    from sertk.jobs.imported import import_model
    from sertk.models.modelfile import frontend_conf

    imported = import_model(checkpoint, model, toolkit_config, labels, licence, trained_on, origin, bins=num_mel_bins,
                            deviation=deviation, epsilon=epsilon)  # fmt: skip
    record, spec = imported.card["trained_on"], imported.network.spec
    log.info("wrote %s: %s, blocks %s, %d channels, %d bins, embedding of %d numbers; features: make-fbank --config %s",
             model, record["source"], ",".join(map(str, spec.blocks)), spec.channels, spec.bins, spec.embedding_dim,
             frontend_conf(model))  # fmt: skip
    if not licence:
        log.warning("no --licence: the model's card will not name one")
    if not labels:
        log.warning("no --labels: tests cannot be checked for speakers of the training data")
