"""calibrate-model: store the temperature that was fitted in cross-validation in a model."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.messages import log
from sertk.cli.types import FILE


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("results", metavar="RESULTS", type=FILE)
@click.argument("out", metavar="OUT", type=FILE)
def main(model: Path, results: Path, out: Path) -> None:
    """Write a model whose probabilities are calibrated by the temperature of cross-validation.

    RESULTS is results.json of score-loso, which fits a temperature for each fold on the other folds. A model that did
    not train on one of these folds is given that fold's, any other model their geometric mean. Every binary gives
    calibrated probabilities with OUT; the most probable label stays the same.

    \b
    e.g.: calibrate-model exp/exp1/1/final.pt exp/exp1/results.json emotion.pt
          calibrate-model exp/exp1/1/final.pt exp/exp1/results.json emotion.pt && classify-audio emotion.pt interview.wav
    See also: score-loso, classify-audio, export-onnx
    """
    from sertk.errors import SertkError, error_context
    from sertk.models.calibrated import calibrated, temperature_of
    from sertk.models.modelfile import check_outputs, load_model, save_model
    from sertk.scoring.fitted import fitted_temperature
    from sertk.scoring.trainingrecords import chain

    if out.exists() and temperature_of(load_model(out, heads=True)) is None:
        raise SertkError(f"{out}: exists and is not a calibrated model; the last argument is the output")
    original = load_model(model, heads=True)
    check_outputs(original, model)
    record = next(chain(original.card.get("trained_on")), {})
    fold = str(record["fold"]) if "fold" in record else None
    temperature = fitted_temperature(results, fold, original.labels)
    with error_context(str(model)):
        save_model(out, calibrated(original, temperature, str(results)))
    log.info("wrote %s: temperature %.3f", out, temperature)
