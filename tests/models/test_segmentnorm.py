"""Normalisation inside a network, against that of the front end."""

import numpy as np
import pytest
import torch
from networks import trained

from sertk.frontend.cmvn import normalise, statistics
from sertk.models.inference import on_segments, padded
from sertk.models.segmentnorm import normalise_segments
from sertk.models.spec import NetworkSpec

LENGTHS = (40, 1, 17)


@pytest.fixture
def segments():
    """Three segments, with a bin that is constant in the first."""
    rng = np.random.default_rng(0)
    feats = [rng.normal(12, 3, (frames, 16)).astype(np.float32) for frames in LENGTHS]
    feats[0][:, 3] = 7.1
    return feats


def test_segments_in_a_batch_are_normalised_as_alone(segments):
    normal, removed = normalise_segments(*padded(segments))
    for feats, rows, stats in zip(segments, normal, removed):
        np.testing.assert_allclose(rows[:, : len(feats)].T, normalise(feats), atol=1e-5)
        np.testing.assert_allclose(stats, statistics(feats), atol=1e-5)
        assert not rows[:, len(feats) :].any()
    alone, _ = normalise_segments(torch.from_numpy(segments[0].T[None]))
    torch.testing.assert_close(alone[0], normal[0], atol=1e-6, rtol=0)


def test_a_network_with_level_input_normalises_itself(segments):
    """Its pooled maps are those of the same trunk on normalised features; what was removed follows them."""
    network = trained(level_input=True)
    plain = trained()
    plain.take_trunk(network)
    found = dict(
        on_segments(network, [(str(n), feats) for n, feats in enumerate(segments)], "pool", torch.device("cpu"))
    )
    inputs = [(str(n), normalise(feats)) for n, feats in enumerate(segments)]
    expected = dict(on_segments(plain, inputs, "pool", torch.device("cpu")))
    for n, feats in enumerate(segments):
        np.testing.assert_allclose(found[str(n)], np.concatenate([expected[str(n)], statistics(feats)]), atol=1e-4)
    assert (
        network.spec.pooled_dim == plain.spec.pooled_dim + 32
        and NetworkSpec.from_plain(network.spec.plain()) == network.spec
    )


@pytest.mark.parametrize("fields", [{"pooling": "none", "frames": 24}, {"input_norm": True}])
def test_level_input_is_for_pooled_normalised_segments(fields):
    with pytest.raises(ValueError):
        NetworkSpec(4, level_input=True, **fields)
