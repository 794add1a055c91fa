"""Heads that take their steps together."""

import copy

import numpy as np
import pytest
import torch
from trainings import StopAfter

from sertk.data.store import store_of
from sertk.models.spec import HeadSpec
from sertk.training.head import HeadTraining
from sertk.training.heads import train_heads
from sertk.training.progress import Stopped
from sertk.training.settings import HeadSettings
from sertk.training.targets import Targets

CPU = torch.device("cpu")
LABELS, VERSIONS = 3, 2
# Members of each head: 100, 72 and 46 vectors an epoch, of which the batches of 8 leave 4, 0 and 6.
SEGMENTS, SIZES = 60, (50, 36, 23)
RNG = np.random.default_rng(0)
STORE = store_of([f"u{i:02d}" for i in range(SEGMENTS)], list(RNG.normal(size=(SEGMENTS, 6, 7)).astype(np.float32)))
VOTES = torch.from_numpy(RNG.dirichlet(np.ones(LABELS), SEGMENTS).astype(np.float32))
CASES = {
    "the paper's": [{}] * 3,
    "other descents": [
        {"learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.01},
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1, "decay_all": False},
        {"schedule": "cosine", "warmup_epochs": 0.5},
    ],
    "targets": [
        {"label_smoothing": 0.2},
        {"class_weights": "balanced", "label_smoothing": 0.1},
        {"sampling": "balanced"},
    ],
    "one diverges": [{}, {"learning_rate": 1e30}, {}],
    "other epochs": [{"epochs": 2}, {"epochs": 3}, {"epochs": 1}],
}


def trainings(case, votes=False):
    targets = Targets(torch.arange(SEGMENTS) % LABELS, VOTES if votes else None)
    given = {"epochs": 3, "batch_size": 8, "versions": VERSIONS}
    return {
        str(size): HeadTraining(
            HeadSpec(7, LABELS, 5), np.arange(0, size), targets, HeadSettings(**given | fields), CPU
        )
        for size, fields in zip(SIZES, CASES[case])
    }


def places(of):
    return dict.fromkeys(of, np.arange(SEGMENTS)[::-1].copy())


def trained(of, **how):
    return [(epoch, name) for epoch, name, _ in train_heads(of, places(of), STORE, CPU, **how)]


def agree(one, other, atol=2e-5):
    assert [len(record) for record in one.history] == [len(record) for record in other.history]
    for a, b in zip(one.history, other.history):
        assert a == pytest.approx(b, abs=1e-5)
    tensors, others = ({**t.progress().tensors["head"]} for t in (one, other))
    momenta, its = (t.optimiser.state_dict()["state"] for t in (one, other))
    for name, tensor in tensors.items():
        torch.testing.assert_close(others[name], tensor, atol=atol, rtol=0)
    assert momenta.keys() == its.keys() or not any(s["momentum_buffer"] is not None for s in momenta.values())
    for number, state in momenta.items():
        if state["momentum_buffer"] is not None:
            torch.testing.assert_close(its[number]["momentum_buffer"], state["momentum_buffer"], atol=10 * atol, rtol=0)


@pytest.mark.parametrize("votes", [False, True])
@pytest.mark.parametrize("case", [case for case in CASES if case != "one diverges"])
def test_stacked_heads_become_what_each_becomes_alone(case, votes):
    """Heads of folds of different sizes, with their own settings."""
    alone, together = trainings(case, votes), trainings(case, votes)
    order = trained(alone)
    assert sorted(trained(together, stacked=True)) == sorted(order)
    for name in alone:
        agree(alone[name], together[name])


def test_stacked_heads_resume():
    """One of them has an epoch less: it was stopped while the checkpoints were written."""
    straight, stopped, resumed = (trainings("the paper's") for _ in range(3))
    trained(straight, stacked=True)
    saved = {}
    with pytest.raises(Stopped, match="in epoch 2"):
        for _, name, _ in train_heads(stopped, places(stopped), STORE, CPU, StopAfter(20), stacked=True):
            saved[name] = copy.deepcopy(stopped[name].progress())
    for name in ("50", "23"):
        resumed[name].load_progress(saved[name])
    assert [len(one.history) for one in resumed.values()] == [1, 0, 1]
    trained(resumed, stacked=True)
    for name in straight:
        agree(straight[name], resumed[name])


def test_a_failing_head_leaves_the_others_alone():
    alone, together, failed = trainings("the paper's"), trainings("one diverges"), {}
    trained(alone)
    trained(together, stacked=True, failed=lambda name, error: failed.update({name: str(error)}))
    assert list(failed) == ["36"] and failed["36"].startswith("36: epoch 1: ")
    for name in ("50", "23"):
        agree(alone[name], together[name])
