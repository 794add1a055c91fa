"""Calibration of trial scores to log-likelihood ratios by logistic regression, also on qualities of the recordings.

A short recording, or an embedding of small magnitude, makes a score less certain: the same score is worth another
log-likelihood ratio. Each quality enters by its lower and its higher value of the trial's two sides.

The regression minimises Cllr on its trials, with a small penalty that keeps it finite if a threshold separates them.

Source: Brümmer and du Preez 2006; Thienpondt et al. 2021, "The IDLAB VoxSRC-20 Submission" (quality measures).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sertk.scoring.speaker import bits

# Of the weights on standardised features.
_PENALTY = 1e-4


@dataclass(frozen=True)
class Calibration:
    """An affine map from features of a trial to its log-likelihood ratio.

    Args:
        offset: constant.
        weights: (features,).
    """

    offset: float
    weights: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Natural log-likelihood ratios (trials,) of features (trials, features)."""
        return features @ self.weights + self.offset


def features_of(
    scores: np.ndarray, first: np.ndarray, second: np.ndarray, qualities: Sequence[np.ndarray]
) -> np.ndarray:
    """Features of trials: the score, then the lower and the higher value of each quality.

    Args:
        scores: (trials,).
        first: (trials,) indices of one side into each quality.
        second: (trials,) indices of the other side.
        qualities: (names,) each.

    Shape:
        - Output: (trials, 1 + 2 * qualities)
    """
    columns = [scores]
    for quality in qualities:
        sides = quality[first], quality[second]
        columns += [np.minimum(*sides), np.maximum(*sides)]
    return np.stack(columns, axis=1)


def fit_calibration(features: np.ndarray, target: np.ndarray, penalty: float = _PENALTY) -> Calibration:
    """Fit a calibration; targets and nontargets have equal weight.

    Args:
        features: (trials, features).
        target: (trials,) bool, of both kinds.
        penalty: of the squared weights on features of mean 0 and deviation 1.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1
    rows = np.column_stack([np.ones(len(features)), (features - centre) / scale])
    share = np.where(target, 0.5 / target.sum(), 0.5 / (~target).sum())
    ridge = penalty * np.append(0.0, np.ones(features.shape[1]))

    def loss(weights: np.ndarray) -> float:
        return float(share @ bits(rows @ weights, target) * np.log(2) + ridge @ weights**2 / 2)

    weights = np.zeros(rows.shape[1])
    for _ in range(100):  # Newton's method on a convex loss, with a step that is halved until it helps
        posterior = expit(rows @ weights)
        gradient = rows.T @ (share * (posterior - target)) + ridge * weights
        curvature = (rows * (share * posterior * (1 - posterior))[:, None]).T @ rows + np.diag(ridge)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), gradient)
        before = loss(weights)
        while loss(weights - step) > before and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    slopes = weights[1:] / scale
    return Calibration(float(weights[0] - slopes @ centre), slopes)
