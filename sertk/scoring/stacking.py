"""Weights of a fusion by maximum likelihood: the logarithms of posteriors are added, each system's with a factor (stacking).

Source: Wolpert 1992, "Stacked generalization"; Breiman 1996, "Stacked regressions" (weights that are not negative);
Brümmer and du Preez 2006 (fusion and calibration by logistic regression).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

# Bounds of a system's factor. The upper one is reached where a system makes no error, the lower one by a useless system:
# where all are, their posteriors are nearly uniform, but still differ in float32.
LEAST, MOST = 1e-4, 100.0


@dataclass(frozen=True)
class Pool:
    """How log posteriors are added: softmax((weights · log posteriors) / temperature).

    Args:
        weights: of the systems, of sum 1.
        temperature: above 1 flattens, below 1 sharpens.
    """

    weights: tuple[float, ...]
    temperature: float = 1.0

    @property
    def factors(self) -> np.ndarray:
        """Factor of each system's log posteriors. Shape: (systems,)."""
        return np.array(self.weights) / self.temperature


def fit_pool(logs: np.ndarray, truth: np.ndarray) -> Pool:
    """The pool under which the true classes are most probable.

    A system has one factor, its weight divided by its temperature. The loss is convex in the factors.

    Args:
        logs: (systems, segments, classes), log posteriors; a constant added to all classes of a segment changes nothing.
        truth: (segments,) class indices.

    Example:
        >>> sure, random = np.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]), np.log([[0.5, 0.5]] * 3)
        >>> [round(weight, 3) for weight in fit_pool(np.stack([sure, random]), np.array([0, 0, 1])).weights][0] > 0.9
        True
    """
    true = logs[:, np.arange(len(truth)), truth].mean(axis=1)

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.tensordot(factors, logs, axes=1)
        expected = np.einsum("nc,snc->s", softmax(total, axis=1), logs) / len(truth)
        return float(logsumexp(total, axis=1).mean() - factors @ true), expected - true

    # A system that is the same for all classes has no gradient: it stays at the start.
    start, bounds = np.full(len(logs), LEAST), [(LEAST, MOST)] * len(logs)
    factors = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12}).x
    return Pool(tuple((factors / factors.sum()).tolist()), float(1 / factors.sum()))
