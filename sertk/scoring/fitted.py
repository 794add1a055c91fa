"""Temperatures that score-loso has fitted, from its results.json.

Each fold's temperature is fitted on the other folds: it suits the model that did not train on that fold, and has seen none
of the fold's labels.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from sertk.datadir.records import read_json
from sertk.errors import SertkError


def fitted_temperature(results: Path, fold: str | None = None, labels: Sequence[str] | None = None) -> float:
    """The temperature of a fold; without one, or of a fold without one, the geometric mean over folds.

    Args:
        results: results.json.
        fold: that the model did not train on.
        labels: of the model; None: not compared.

    Raises:
        SertkError: the file has no temperatures: it is of another kind, or of a single fold; or they are of other labels.
    """
    try:
        content = read_json(results)
    except SertkError as error:
        raise SertkError(f"{error}; expected a results.json of score-loso") from None
    try:
        temperatures = {name: float(value) for name, value in content["calibration"]["temperatures"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        temperatures = {}
    if not temperatures or not all(0 < value < math.inf for value in temperatures.values()):
        raise SertkError(f"{results}: not a results.json of score-loso with temperatures of two folds or more")
    scored = content.get("labels")
    if labels is not None and scored is not None and list(scored) != list(labels):
        raise SertkError(f"{results}: the scores of {' '.join(map(str, scored))}; the model has {' '.join(labels)}")
    if fold in temperatures:
        return temperatures[fold]
    return math.exp(sum(map(math.log, temperatures.values())) / len(temperatures))
