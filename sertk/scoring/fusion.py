"""Weighted mean of the posteriors of several systems, with what all of their models were trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sertk.errors import SertkError
from sertk.scoring.posteriors import Scored, check_folds, read_runs
from sertk.scoring.testset import Test
from sertk.scoring.trainingrecords import ORACLE, chain

# A label that a system gave no probability at all does not veto it in the mean of logarithms.
FLOOR = 1e-6


@dataclass(frozen=True)
class Fused:
    """Fused posteriors.

    Args:
        posteriors: (segments, classes) float64, in the order of the test set.
        settings: fold -> settings of the manifest of its archive.
    """

    posteriors: np.ndarray
    settings: dict[int, dict]


def fuse(test: Test, sources: Sequence[str], weights: Sequence[float] | None = None, average: str = "log") -> Fused:
    """Fuse the posteriors of systems; the runs of a system (`seed*` folders) have its weight in equal parts.

    Args:
        test: the test set.
        sources: rspecifiers or experiment folders.
        weights: weight of each system, of any sum; None: equal.
        average: "log" for the mean of logarithms, "linear" for that of probabilities.

    Raises:
        SertkError: as `read_runs` and `check_folds`; there is one run in all, or a wrong number of weights.
    """
    weights = [1.0] * len(sources) if weights is None else list(weights)
    if len(weights) != len(sources):
        raise SertkError(f"{len(weights)} weights for {len(sources)} systems")
    if min(weights) < 0 or not sum(weights) > 0:
        raise SertkError("weights must be positive or 0, and not all 0")
    systems = [read_runs(source, test.keys, test.labels) for source in sources]
    runs = [(scored, weight / len(system)) for system, weight in zip(systems, weights) for scored in system]
    if len(runs) < 2:
        raise SertkError(f"{sources[0]}: a single run: there is nothing to fuse")
    for scored, _ in runs:
        check_folds(scored, test.utt2fold)
    values = np.stack([scored.posteriors for scored, _ in runs])
    shares = np.array([weight for _, weight in runs])
    posteriors = weighted_mean(values, shares / shares.sum(), average)
    how = {"average": average, "weights": dict(zip(map(str, sources), weights))}
    scored_by = [scored for scored, _ in runs]
    return Fused(
        posteriors, {fold: _settings(test, scored_by, fold, how) for fold in sorted(set(test.utt2fold.values()))}
    )


def weighted_mean(posteriors: np.ndarray, weights: np.ndarray, average: str) -> np.ndarray:
    """Mean of posteriors over systems.

    Args:
        posteriors: (systems, segments, classes).
        weights: (systems,) of sum 1.
        average: "log" or "linear".

    Shape:
        - Output: (segments, classes), of sum 1

    Example:
        >>> both = np.array([[[0.8, 0.2]], [[0.2, 0.8]]])
        >>> weighted_mean(both, np.array([0.5, 0.5]), "log").round(3).tolist()
        [[0.5, 0.5]]
        >>> weighted_mean(both, np.array([0.75, 0.25]), "linear").round(3).tolist()
        [[0.65, 0.35]]
    """
    values = np.log(np.maximum(posteriors, FLOOR)) if average == "log" else posteriors
    mean = np.tensordot(weights, values, axes=1)
    if average == "log":
        mean = np.exp(mean - mean.max(axis=-1, keepdims=True))
    return mean / mean.sum(axis=-1, keepdims=True)


def _settings(test: Test, runs: Sequence[Scored], fold: int, how: Mapping) -> dict:
    """Settings of the archive of a fold: those of every archive with a segment of it."""
    parts = []
    for scored in runs:
        archives = {name: None for key, name in zip(scored.keys, scored.archives) if test.utt2fold[key] == fold}
        parts += [scored.settings[name] or {} for name in archives]
    records = [part.get("trained_on") or {} for part in parts]
    rules = {str(record["select"]) for record in records if "select" in record}
    if any(network.get("select") == ORACLE for record in records for network in chain(record or None)):
        rules = {ORACLE}
    trained_on = {"fold": str(fold)} | ({"select": ", ".join(sorted(rules))} if rules else {})
    return {"labels": list(test.labels), "trained_on": trained_on, "fusion": how, "fused": parts}
