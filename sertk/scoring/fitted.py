"""Temperatures that score-loso has fitted, from its results.json.

Each fold's temperature is fitted on the other folds: it suits the model that did not train on that fold, and has seen none
of the fold's labels.
"""

import json
import math
from pathlib import Path

from sertk.errors import SertkError


def fitted_temperature(results: Path, fold: str | None = None) -> float:
    """The temperature of a fold; without one, or of a fold without one, the geometric mean over folds.

    Args:
        results: results.json.
        fold: that the model did not train on.

    Raises:
        SertkError: the file has no temperatures: it is of another kind, or of a single fold.
    """
    try:
        temperatures = json.loads(results.read_bytes())["calibration"]["temperatures"]
        if fold in temperatures:
            return float(temperatures[fold])
        return math.exp(sum(math.log(value) for value in temperatures.values()) / len(temperatures))
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        raise SertkError(
            f"{results}: not a results.json of score-loso with temperatures of two folds or more"
        ) from None
