"""import-resnet: a speaker network of wespeaker, pyannote.audio or 3D-Speaker as a model of ours."""

from pathlib import Path

import click

from sertk.cli.options import FILE, TOOLKIT_CONFIG, command, log


@command
@click.argument("checkpoint", metavar="CHECKPOINT", type=FILE)
@click.argument("model", metavar="MODEL", type=FILE)
@click.option(TOOLKIT_CONFIG, "toolkit_config", type=FILE,
              help="The toolkit's config.yaml; --config FILE.yaml means the same.")  # fmt: skip
@click.option("--labels", type=FILE,
              help="Training speakers, one a line (spk2utt, say): score-trials refuses trials of theirs.")  # fmt: skip
@click.option("--licence", metavar="TEXT", help="Licence of the weights, which reports then name.")
@click.option("--trained-on", metavar="TEXT",
              help="What it was trained on: 'VoxCeleb2 dev, 5994 speakers'.")  # fmt: skip
@click.option("--origin", type=click.Choice(["wespeaker", "pyannote", "3d-speaker"]),
              help="The toolkit: front end and pooling follow.  [default: as the file and its config tell]")  # fmt: skip
@click.option("--num-mel-bins", type=click.IntRange(8),
              help="Mel bins.  [default: as config.yaml or the weights tell]")  # fmt: skip
@click.option("--deviation", type=click.Choice(["unbiased", "population"]),
              help="Of the statistics pooling.  [default: unbiased]")  # fmt: skip
@click.option("--epsilon", type=click.FloatRange(0),
              help="Added to its variance.  [default: 1e-7 wespeaker, 0 pyannote, 1e-8 3d-speaker and wespeaker before"
                   " 2022]")  # fmt: skip
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
    """Import the weights of a ResNet18 or ResNet34 that wespeaker, pyannote.audio or 3D-Speaker trained.

    MODEL is then what train-resnet writes, for embed-segments, transfer-head and --init; it ends with the embedding, equal
    to the toolkit's own. Beside MODEL.pt, MODEL.fbank.conf has the options with which make-fbank computes its features,
    normalised. Reading the checkpoint runs no code of it.

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
        log.warning("--licence is not given: the model's card cannot name it")
    if not labels:
        log.warning("--labels is not given: whether a test's speakers were trained on stays unchecked")
