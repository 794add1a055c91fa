"""Variance of pooled accuracies over new speakers, new networks of the folds, and new training runs.

Segments of one speaker are correlated, and those of one fold were scored by one network. The variance is the delete-one-unit
jackknife over speakers; speakers scored by the same fold's network are left out together, because they share the random
variation of its training. If folds cross the speakers, the variance between folds beyond that of speakers within folds is
added. Figures of several training runs (seeds) are means; the variance between runs beyond that of units within runs is added.
A component that is estimated as negative is 0. Degrees of freedom of a sum are Satterthwaite's.

Coverage in simulations is in docs/reliability.md (benchmarks/coverage.py).

Source: Hansen 2022, "Jackknife standard errors for clustered regression"; Cameron, Gelbach and Miller 2011 (two-way clusters);
Satterthwaite 1946; Searle, Casella and McCulloch 1992, "Variance Components" (two-way crossed random effects).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from sertk.scoring.emotion import measures


@dataclass(frozen=True)
class Variance:
    """Estimates with their variances.

    Args:
        values: (measures,) estimates.
        variances: (measures,) variances.
        freedom: (measures,) degrees of freedom of the variances.
    """

    values: np.ndarray
    variances: np.ndarray
    freedom: np.ndarray


@dataclass(frozen=True)
class Runs:
    """Training runs of one system.

    Args:
        values: (runs, measures) estimates of each run.
        influences: (runs, units, measures), from `jackknife`.
    """

    values: np.ndarray
    influences: np.ndarray

    def beyond_units(self) -> np.ndarray:
        """Variance component of runs in their mean: mean square of runs minus interaction with units, at least 0.

        Shape:
            - Output: (measures,)
        """
        runs, units = self.influences.shape[:2]
        rows, columns = self.influences.mean(axis=1, keepdims=True), self.influences.mean(axis=0)
        rest = self.influences - rows - columns + columns.mean(axis=0)
        interaction = (rest**2).sum(axis=(0, 1)) / (runs * units * (runs - 1) * (units - 1))
        return np.maximum(0, self.values.var(axis=0, ddof=1) / runs - interaction)


def jackknife(parts: np.ndarray, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Delete-one jackknife of the measures of a confusion matrix.

    Args:
        parts: (…, units, classes, classes) counts of each unit.
        times: (units,) multiplicity of each unit; default 1.

    Returns:
        measures, and the influence of each unit on them: (units - 1) times the shift when it is left out.

    Shape:
        - Output: (…, measures), (…, units, measures)
    """
    times = np.ones(parts.shape[-3]) if times is None else times
    total = np.einsum("...uij,u->...ij", parts, times)
    classes = total.reshape(-1, *total.shape[-2:]).sum(axis=(0, 2)) > 0
    values = measures(total, classes)
    shifts = values[..., None, :] - measures(total[..., None, :, :] - parts, classes)
    return values, (times.sum() - 1) * shifts


def jackknife_variance(influences: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Variances (measures,) of a jackknife with influences (units, measures), each unit `times` (units,)."""
    times = np.ones(len(influences)) if times is None else times
    return np.einsum("um,u->m", influences**2, times) / (times.sum() * max(1, times.sum() - 1))


def joined(clusters: Sequence[str], fold: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Independent units for jackknife and bootstrap.

    If every cluster (speaker) is in one fold and some share a fold, folds are the units: these clusters share a network.
    Clusters (sessions) that contain whole folds are units themselves. Otherwise clusters are units, crossed with folds.

    Args:
        clusters: cluster of each segment.
        fold: (segments,) fold whose network scored each segment; None if unknown.

    Returns:
        unit of each segment, (segments,) integers; fold of each segment if folds cross the units, else None.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    if fold is None:
        return index, None
    fold_index = np.unique(fold, return_inverse=True)[1]
    folds = fold_index.max() + 1
    pairs = len(np.unique(index * folds + fold_index))
    if folds < 2 or pairs == folds:
        return index, None
    return (fold_index, None) if pairs == len(names) else (index, fold_index)


def clustered_variance(
    truth: np.ndarray, guess: np.ndarray, clusters: Sequence[str], num_classes: int, fold: np.ndarray | None = None
) -> Variance:
    """The measures of one system, pooled over its training runs.

    Args:
        truth: (segments,) class indices.
        guess: (runs, segments) predicted class indices.
        clusters: cluster of each segment.
        num_classes: number of classes.
        fold: (segments,) fold whose network scored each segment; None if unknown.
    """

    def influences(units: np.ndarray) -> np.ndarray:
        return jackknife(run_counts(truth, guess, units, num_classes).sum(axis=0))[1]

    units, crossing = joined(clusters, fold)
    counts = run_counts(truth, guess, units, num_classes)
    values = jackknife(counts.sum(axis=0))[0]
    runs = [Runs(*jackknife(counts))] if len(guess) > 1 else []
    return estimated(values, influences, units, crossing, runs)


def difference_variance(
    truth: np.ndarray,
    systems: Sequence[np.ndarray],
    clusters: Sequence[str],
    num_classes: int,
    fold: np.ndarray | None = None,
) -> Variance:
    """WA and UA of system A minus those of system B, means over their training runs.

    Args:
        truth: (segments,) class indices.
        systems: (runs, segments) predicted class indices of A and of B.
        clusters: cluster of each segment.
        num_classes: number of classes.
        fold: (segments,) fold whose network scored each segment; None if unknown.
    """

    def of_runs(units: np.ndarray) -> list[Runs]:
        found = [jackknife(run_counts(truth, guess, units, num_classes)) for guess in systems]
        return [Runs(values[..., :2], influences[..., :2]) for values, influences in found]

    def influences(units: np.ndarray) -> np.ndarray:
        a, b = of_runs(units)
        return a.influences.mean(axis=0) - b.influences.mean(axis=0)

    units, crossing = joined(clusters, fold)
    a, b = of_runs(units)
    several = [runs for runs in (a, b) if len(runs.values) > 1]
    return estimated(a.values.mean(axis=0) - b.values.mean(axis=0), influences, units, crossing, several)


def estimated(
    values: np.ndarray,
    influences: Callable[[np.ndarray], np.ndarray],
    units: np.ndarray,
    crossing: np.ndarray | None,
    runs: Sequence[Runs],
) -> Variance:
    """Sum the variance components of units, folds that cross them, and training runs.

    Args:
        values: (measures,) estimates.
        influences: returns the influences (units, measures) of the units (segments,) that it is given.
        units: (segments,) unit of each segment.
        crossing: (segments,) fold of each segment if folds cross the units, else None.
        runs: the systems with several training runs.
    """
    shares = influences(units)
    variances, freedom = jackknife_variance(shares), np.full(len(values), len(shares) - 1.0)
    if crossing is not None:
        folds = influences(crossing)
        cells = jackknife_variance(influences(units * len(folds) + crossing))
        beyond = np.maximum(0, jackknife_variance(folds) - cells)
        # The smaller degrees of freedom: Satterthwaite's are too many if the few networks vary more than many speakers.
        freedom = np.where(beyond > 0, np.minimum(freedom, len(folds) - 1), freedom)
        variances = variances + beyond
    return combined(values, (variances, freedom), [(one.beyond_units(), len(one.values) - 1) for one in runs])


def combined(
    values: np.ndarray, units: tuple[np.ndarray, np.ndarray], runs: Sequence[tuple[np.ndarray, int]]
) -> Variance:
    """Sum of independent variance components, with Satterthwaite's degrees of freedom.

    The sum can have far more degrees of freedom than the component of units, and so a narrower interval than that component
    alone: then the component is used.

    Args:
        values: (measures,) estimates.
        units: variances and degrees of freedom of the units, (measures,) each.
        runs: variances (measures,) and degrees of freedom of the training runs of each system.
    """
    components = [units, *runs]
    total = sum(variances for variances, _ in components)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = total**2 / sum(variances**2 / freedom for variances, freedom in components)
        wider = stdtrit(freedom, 0.975) * np.sqrt(total) > stdtrit(units[1], 0.975) * np.sqrt(units[0])
    return Variance(values, np.where(wider, total, units[0]), np.where(wider, freedom, units[1]))


def effective_runs(truth: np.ndarray, guess: np.ndarray) -> float:
    """Number of training runs with independent errors that would give the means over runs the variance they have.

    Args:
        truth: (segments,) class indices.
        guess: (runs, segments) predicted class indices.

    Returns:
        from 1, if all runs classify the same segments correctly, to the number of runs.

    Example:
        >>> truth = np.zeros(4, dtype=int)
        >>> effective_runs(truth, np.array([[0, 0, 1, 1], [0, 0, 1, 1]])), effective_runs(truth, np.eye(2, 4, dtype=int))
        (1.0, 2.0)
    """
    right = (guess == truth).mean(axis=0)
    number = np.bincount(truth)
    recall = np.bincount(truth, right) / np.maximum(1, number)
    between = ((right - recall[truth]) ** 2).sum()
    whole = (number * recall * (1 - recall)).sum()
    return float(np.clip(whole / between, 1, len(guess))) if between else 1.0


def run_counts(truth: np.ndarray, guess: np.ndarray, units: Sequence, num_classes: int) -> np.ndarray:
    """Confusion matrix of each run and unit: guess (runs, segments) -> (runs, units, classes, classes)."""
    return np.stack([cluster_counts(truth, one, units, num_classes) for one in guess])


def cluster_counts(truth: np.ndarray, guess: np.ndarray, clusters: Sequence[str], num_classes: int) -> np.ndarray:
    """Confusion matrix of each cluster, (clusters, classes, classes), in sorted order of clusters."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    cells = (index * num_classes + np.asarray(truth)) * num_classes + np.asarray(guess)
    return np.bincount(cells, minlength=len(names) * num_classes**2).reshape(-1, num_classes, num_classes)
