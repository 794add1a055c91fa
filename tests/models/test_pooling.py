"""Pooling over frames: statistics worked by hand, moments of pieces."""

import torch
from networks import trained

from sertk.models.pooling import AttentivePool, MeanPool, Moments, StatsPool


def test_statistics_worked_by_hand():
    maps = torch.tensor([[[[1.0, 3.0, 100.0], [2.0, 2.0, 100.0]]]])
    lengths = torch.tensor([2])
    torch.testing.assert_close(StatsPool()(maps, lengths), torch.tensor([[2.0, 2.0, 1.0, 0.00316]]), atol=1e-4, rtol=0)
    assert MeanPool()(maps, lengths).tolist() == [[2.0, 2.0]]
    torch.testing.assert_close(StatsPool()(maps[..., :2]), StatsPool()(maps, lengths))


def test_attention_weighs_frames():
    """Weights that are proportional to 1, 3 and 0, by hand; untrained, all are equal."""
    pool, lengths = AttentivePool(2), torch.tensor([2])
    maps = torch.tensor([[[[1.0, 5.0, 100.0], [2.0, 2.0, 100.0]]]])
    torch.testing.assert_close(pool(maps, lengths), StatsPool()(maps, lengths))
    # One unit: tanh(x - 5) is tanh(-4) in the first frame and 0 in the second.
    for parameter in pool.parameters():
        parameter.data.zero_()
    pool.hidden.weight.data[0, 0], pool.hidden.bias.data[0] = 1, -5
    pool.score.weight.data[0, 0] = torch.tensor(3.0).log() / torch.tensor(4.0).tanh()
    expected = torch.tensor([[4.0, 2.0, 3**0.5, 0.00316]])
    torch.testing.assert_close(pool(maps, lengths), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(pool(maps[..., :2]), expected, atol=1e-4, rtol=0)
    moments = pool.moments()
    for part in maps[..., :2].split(1, dim=-1):
        moments.add(part)
    torch.testing.assert_close(pool.of(moments), expected, atol=1e-4, rtol=0)


def test_without_pooling_the_maps_are_flattened():
    network = trained(channels=2, pooling="none", frames=24)
    assert network.spec.pooled_dim == 16 * 2 * 3
    assert network(torch.randn(3, 16, 24)).shape == (3, 4)


def test_moments_of_a_large_mean_keep_their_variance():
    """Frames whose mean is 10,000 deviations away, an hour of them in pieces of any size."""
    maps = torch.randn(1, 2, 1, 45_000, dtype=torch.float64) + 1e4
    moments = Moments()
    for part in maps.split([1, 7, 30_000, 14_992], dim=-1):
        moments.add(part)
    torch.testing.assert_close(moments.mean, maps.mean(-1), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.variance, maps.var(-1, correction=0), rtol=1e-9, atol=0)
