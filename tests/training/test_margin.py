"""Margin losses against the angles of their papers, written out in float64."""

import numpy as np
import pytest
import torch

from sertk.models.cosine import CosineOutput
from sertk.training.margin import MarginLoss
from sertk.training.targets import Targets

SCALE, DIM, LABELS = 8.0, 5, 7


def reference(kind, embeddings, centres, labels, margin, subcentres=1, top_k=0, penalty=0.0):
    """The loss, summed, with the angles themselves."""
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (embeddings, centres)]
    cosines = (unit[0] @ unit[1].T).reshape(len(labels), -1, subcentres).max(axis=2)
    angles, total = np.arccos(cosines), 0.0
    for cosine, angle, label in zip(cosines, angles, labels):
        logits = cosine.copy()
        if kind == "am":
            logits[label] = cosine[label] - margin
        elif angle[label] + margin < np.pi:
            logits[label] = np.cos(angle[label] + margin)
        else:
            logits[label] = cosine[label] + np.cos(margin) - 1
        others = [index for index in np.argsort(-cosine) if index != label][:top_k]
        for index in others:
            logits[index] = cosine[index] + penalty if kind == "am" else np.cos(angle[index] - penalty)
        logits *= SCALE
        total += np.log(np.exp(logits).sum()) - logits[label]
    return total


def gradient(function, at, step=1e-6):
    """Central differences."""
    found = np.empty_like(at)
    for index in np.ndindex(at.shape):
        ends = []
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * step
            ends.append(function(moved))
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found


@pytest.mark.parametrize("kind", ["am", "aam"])
@pytest.mark.parametrize(("subcentres", "top_k"), [(1, 0), (3, 0), (1, 2), (2, 3)])
def test_loss_and_gradients_are_those_of_the_angles(kind, subcentres, top_k):
    """The last segment points away from its centre, beyond θ + m = π."""
    rng = np.random.default_rng(1)
    embeddings, centres = rng.normal(size=(6, DIM)), rng.normal(size=(LABELS * subcentres, DIM))
    labels = np.array([0, 3, 6, 3, 1, 2])
    embeddings[5] = -centres[2 * subcentres : 3 * subcentres].mean(axis=0)
    centres[2 * subcentres : 3 * subcentres] = -embeddings[5] + 0.05 * rng.normal(size=(subcentres, DIM))
    options = {"subcentres": subcentres, "top_k": top_k, "penalty": 0.06}
    output = CosineOutput(DIM, LABELS, SCALE, subcentres)
    output.weight.data = torch.from_numpy(centres).float()
    vectors = torch.from_numpy(embeddings).float().requires_grad_()
    margin_loss = MarginLoss(kind, 0.4, SCALE, top_k, penalty=0.12)
    targets = Targets(torch.from_numpy(labels))
    loss = targets.loss(margin_loss(output(vectors), targets.labels, 0.2))  # halfway: half of the penalty
    loss.backward()
    assert loss.item() == pytest.approx(reference(kind, embeddings, centres, labels, 0.2, **options), rel=1e-5)
    of_vectors = gradient(lambda x: reference(kind, x, centres, labels, 0.2, **options), embeddings)
    of_centres = gradient(lambda x: reference(kind, embeddings, x, labels, 0.2, **options), centres)
    np.testing.assert_allclose(vectors.grad.numpy(), of_vectors, atol=2e-4)
    np.testing.assert_allclose(output.weight.grad.numpy(), of_centres, atol=2e-4)


def test_without_margin_it_is_the_softmax():
    logits, labels = torch.randn(4, LABELS), torch.tensor([0, 1, 2, 3])
    assert MarginLoss()(logits, labels, 0.2) is logits
    assert MarginLoss("aam", 0.2, SCALE, 2)(logits, labels, 0.0) is logits


def test_gradient_is_finite_at_a_centre_and_opposite_to_it():
    output = CosineOutput(2, 3, SCALE)
    output.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    vectors = torch.tensor([[3.0, 0.0], [-2.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    loss = Targets(labels).loss(MarginLoss("aam", 0.2, SCALE, 1)(output(vectors), labels, 0.2))
    loss.backward()
    assert bool(vectors.grad.isfinite().all()) and bool(output.weight.grad.isfinite().all())


def test_class_weights_and_smoothing_apply_to_the_harder_logits():
    logits, labels = SCALE * torch.tensor([[0.6, 0.8]]), torch.tensor([0])
    weighted = Targets(labels, weights=torch.tensor([3.0, 1.0]))
    harder = np.array([0.6 - 0.2, 0.8]) * SCALE
    logs = harder - np.log(np.exp(harder).sum())
    loss = weighted.loss(MarginLoss("am", 0.2, SCALE)(logits, labels, 0.2), smoothing=0.1)
    assert loss.item() == pytest.approx(-3 * 0.95 * logs[0] - 1 * 0.05 * logs[1], rel=1e-5)
