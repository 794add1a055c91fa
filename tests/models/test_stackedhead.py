"""Heads stacked: each computes what it computes alone."""

import numpy as np
import pytest
import torch

from sertk.models.resnet import Head
from sertk.models.spec import HeadSpec, NetworkSpec
from sertk.models.stackedhead import StackedHead
from sertk.models.vectorhead import VectorHead

HEADS, BATCH = 3, 6
SPECS = {
    "network": NetworkSpec(4, bins=16, channels=2, embedding_dim=5),
    "with what normalisation removed": NetworkSpec(4, bins=16, channels=2, embedding_dim=5, level_input=True),
    "vectors": HeadSpec(7, 4, embedding_dim=5),
    "channels": HeadSpec(7, 4, embedding_dim=5, activation="prelu-channel", hidden_dim=6),
    "relu": HeadSpec(7, 4, embedding_dim=5, activation="relu", hidden_dim=6, embedding_norm=False),
    "linear": HeadSpec(7, 4, embedding_dim=0),
    "layers": HeadSpec(7, 4, embedding_dim=5, layers=3),
}


def heads_of(spec):
    for number in range(HEADS):
        torch.manual_seed(number)
        head = Head(spec) if isinstance(spec, NetworkSpec) else VectorHead(spec)
        if "mean" in dict(head.named_buffers()):
            rng, size = np.random.default_rng(number), len(head.mean)
            head.standardise(rng.normal(size=size), rng.random(size))
        yield head


@pytest.mark.parametrize("name", SPECS)
def test_stacked_heads_compute_as_each_alone(name):
    """Logits, gradients and statistics of BatchNorm after two batches."""
    spec = SPECS[name]
    alone, together = list(heads_of(spec)), list(heads_of(spec))
    stacked = StackedHead(together)
    for _ in range(2):
        dim = spec.pooled_dim if isinstance(spec, NetworkSpec) else spec.input_dim
        vectors = torch.randn(HEADS, BATCH, dim)
        logits = stacked(vectors)
        for number, head in enumerate(alone):
            torch.testing.assert_close(logits[number], head(vectors[number]), atol=1e-5, rtol=1e-4)
    logits.square().sum().backward()
    for number, head in enumerate(alone):
        head(vectors[number]).square().sum().backward()
        for part, parameter in head.named_parameters():
            found = stacked.parameters[part].grad[number]
            torch.testing.assert_close(found, parameter.grad, atol=1e-4, rtol=1e-3)
    once_more = [head(vectors[number]) for number, head in enumerate(alone)]  # as often as the stack has done it
    stacked(vectors), stacked(vectors)
    stacked.copy_back()
    assert len(once_more) == HEADS
    for one, other in zip(alone, together):
        for part, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[part], tensor, atol=1e-5, rtol=1e-4)
