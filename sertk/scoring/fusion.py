"""Weighted mean of the posteriors of several systems, with what all of their models were trained on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.tables import read_table
from sertk.scoring.leakguard import FOLDS
from sertk.scoring.posteriors import INNER_SCORES, Scored, check_folds, read_posteriors, read_runs
from sertk.scoring.stacking import Pool, fit_pool
from sertk.scoring.testset import Test
from sertk.scoring.trainingrecords import ORACLE, chain

log = logging.getLogger("sertk")

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


def fuse(
    test: Test, sources: Sequence[str], weights: Sequence[float] | str | None = None, average: str = "log"
) -> Fused:
    """Fuse the posteriors of systems; the runs of a system (`seed*` folders) have its weight in equal parts.

    Args:
        test: the test set.
        sources: rspecifiers or experiment folders.
        weights: weight of each system, of any sum; "folds" or "inner": weights and a temperature fitted for each fold;
            None: equal.
        average: "log" for the mean of logarithms, "linear" for that of probabilities.

    Raises:
        SertkError: as `read_runs` and `check_folds`; there is one run in all, a system given twice, a wrong number of weights, or
            nothing to fit weights on.
    """
    if twice := next((source for source in sources if list(sources).count(source) > 1), None):
        raise SertkError(f"{twice}: is given twice (--weights gives a system more weight)")
    fitted = weights if isinstance(weights, str) else None
    given = None if fitted else Pool(_of_sum_one(weights, len(sources)))
    systems = [read_runs(source, test.keys, test.labels) for source in sources]
    runs = [scored for system in systems for scored in system]
    if len(runs) < 2:
        raise SertkError(f"{sources[0]}: a single run: there is nothing to fuse")
    for scored in runs:
        check_folds(scored, test.utt2fold)
    values = np.stack([scored.posteriors for scored in runs])
    folds = sorted(set(test.fold.tolist()))
    if fitted and len(folds) < 2:
        raise SertkError(f"--weights {fitted} fits the weights of a fold on the others: it takes two folds or more")
    posteriors, settings = np.empty(values.shape[1:]), {}
    for fold in folds:
        pool, inner = _fit(test, systems, fold, fitted) if fitted else (given, [])
        here = test.fold == fold
        shares = [factor / len(system) for factor, system in zip(pool.factors, systems) for _ in system]
        posteriors[here] = weighted_mean(values[:, here], np.array(shares), average)
        how = {"average": average, "weights": dict(zip(map(str, sources), pool.weights))}
        if fitted:
            how |= {"temperature": pool.temperature, "fitted_on": fitted}
            words = ", ".join(f"{weight:.3f} {source}" for source, weight in how["weights"].items())
            log.info("fold %d: weights %s; temperature %.3f", fold, words, pool.temperature)
        settings[fold] = _settings(test, runs, fold, how, inner)
    return Fused(posteriors, settings)


def _of_sum_one(weights: Sequence[float] | None, number: int) -> tuple[float, ...]:
    """Weights of sum 1. Raises SertkError."""
    weights = [1.0] * number if weights is None else list(weights)
    if len(weights) != number:
        raise SertkError(f"{len(weights)} weights for {number} systems")
    if min(weights) < 0 or not sum(weights) > 0:
        raise SertkError("weights must be positive or 0, and not all 0")
    shares = [weight / max(weights) for weight in weights]  # their sum is finite
    return tuple(share / sum(shares) for share in shares)


def _fit(test: Test, systems: Sequence[Sequence[Scored]], fold: int, fitted_on: str) -> tuple[Pool, list[Scored]]:
    """Fit the weights of a fold on the segments of the others; also returns the inner predictions that were read."""
    others, inner = test.fold != fold, []
    if fitted_on == FOLDS:
        values = [[run.posteriors[others] for run in runs] for runs in systems]
    else:
        inner = [[read_inner(test, run, fold) for run in runs] for runs in systems]
        values = [[run.posteriors for run in runs] for runs in inner]
    logs = np.stack([np.log(np.maximum(of_runs, FLOOR)).mean(axis=0) for of_runs in values])
    return fit_pool(logs, test.truth[others]), [run for runs in inner for run in runs]


def read_inner(test: Test, scored: Scored, fold: int) -> Scored:
    """Read the predictions of the training segments of a fold, each by a model that has not trained on it.

    Args:
        test: the test set.
        scored: the run, read from an experiment folder.
        fold: the fold.

    Returns:
        posteriors of the segments of all other folds, in the order of the test set.

    Raises:
        SertkError: there are none, or of other segments than those of the other folds.
    """
    key = next(key for key in test.keys if test.utt2fold[key] == fold)
    path = Path(scored.archives[scored.keys.index(key)]).with_name(INNER_SCORES)
    if not path.exists():
        raise SertkError(
            f"{path}: no predictions of the training segments (transfer-head --inner-scores true writes them;"
            " --weights folds takes none)"
        )
    table, keys = f"ark:{path}", [key for key in test.keys if test.utt2fold[key] != fold]
    if differing := {key for key, _ in read_table(table, kind="vector")} ^ set(keys):
        raise SertkError(
            f"{path}: scores of other segments than the training segments of fold {fold}, such as {min(differing)}: of"
            " another division into folds? Train the heads again with this one (transfer-head --inner-scores true)"
        )
    return read_posteriors(table, keys, test.labels)


def weighted_mean(posteriors: np.ndarray, weights: np.ndarray, average: str) -> np.ndarray:
    """Mean of posteriors over systems.

    Args:
        posteriors: (systems, segments, classes).
        weights: (systems,) of sum 1, or of sum 1 / temperature for the mean of logarithms.
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


def _settings(test: Test, runs: Sequence[Scored], fold: int, how: Mapping, inner: Sequence[Scored]) -> dict:
    """Settings of the archive of a fold: those of every archive with a segment of it, or that its weights were fitted on."""
    parts = []
    for scored in runs:
        archives = {name: None for key, name in zip(scored.keys, scored.archives) if test.utt2fold[key] == fold}
        parts += [scored.settings[name] or {} for name in archives]
    parts += [settings or {} for scored in inner for settings in scored.settings.values()]
    records = [part.get("trained_on") or {} for part in parts]
    rules = {str(record["select"]) for record in records if "select" in record}
    if any(network.get("select") == ORACLE for record in records for network in chain(record or None)):
        rules = {ORACLE}
    trained_on = {"fold": str(fold)} | ({"select": ", ".join(sorted(rules))} if rules else {})
    return {"labels": list(test.labels), "trained_on": trained_on, "fusion": how, "fused": parts}
