"""One step of gradient descent."""

import copy
from dataclasses import replace

import pytest
import torch

from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training import step as steps
from sertk.training.castonce import CastOnce
from sertk.training.distributed import World
from sertk.training.settings import TrainingSettings
from sertk.training.step import Step
from sertk.training.targets import Targets

CPU = torch.device("cpu")
SPEC = NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)


def new_step(**settings):
    torch.manual_seed(0)
    network = ResNet(replace(SPEC, output="cosine" if "loss" in settings else "linear")).train()
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    settings = {"chunk_frames": (24,), "precision": "float32"} | settings
    return Step(network, optimiser, TrainingSettings(**settings), CPU, World())


def test_other_errors_are_not_caught():
    with pytest.raises(RuntimeError, match="type"):
        new_step()(torch.zeros(4, 16, 24), Targets(torch.zeros(4)), 4)  # labels that are no integers


def test_step_is_plain_sgd_on_the_mean_loss():
    """Against torch's own cross-entropy and the update written out."""
    step, chunks, labels = new_step(), torch.randn(6, 16, 24), torch.tensor([0, 1, 2, 0, 1, 2])
    reference = copy.deepcopy(step.network)
    loss_sum, correct, stopping = step(chunks, Targets(labels), 6, stop=True).tolist()
    logits = reference(chunks)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    assert loss_sum == pytest.approx(6 * loss.item(), rel=1e-5) and stopping == 1
    assert correct == (logits.argmax(1) == labels).sum()
    for updated, before in zip(step.network.parameters(), reference.parameters()):
        torch.testing.assert_close(updated, before - 0.1 * before.grad)


@pytest.mark.parametrize("loss", ["am", "aam"])
def test_step_with_a_margin_in_bf16_is_that_of_float32(loss):
    """Within the rounding of the trunk's maps: losses within 2 %, gradients within a fifth of their length."""
    chunks, targets, found = torch.randn(12, 16, 24), Targets(torch.arange(12) % 3), []
    for precision in ("float32", "bf16"):
        step = new_step(loss=loss, inter_topk=1, precision=precision)
        total, logits = step.gradients(step.network, chunks, targets, 12)
        gradients = torch.cat([p.grad.flatten() for p in step.network.parameters()])
        assert logits.dtype == torch.float32 and step.margin == 0.2
        found.append((total.item(), gradients))
    (plain, wanted), (rounded, close) = found
    assert rounded == pytest.approx(plain, rel=0.02) and (close - wanted).norm() < 0.2 * wanted.norm()


def test_a_step_that_casts_weights_once_has_the_same_updates(monkeypatch):
    """As on a GPU; the cosines of a margin loss are left to autocast."""
    chunks, targets, weights = torch.randn(6, 16, 24), Targets(torch.arange(6) % 3), []
    for once in (False, True):
        monkeypatch.setitem(steps.CAST_ONCE, "cpu", once)
        step = new_step(loss="aam", precision="bf16")
        assert isinstance(step.cast_once, CastOnce) == once
        for _ in range(2):
            step(chunks, targets, 6)
        weights.append(step.network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
