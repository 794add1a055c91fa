"""A head with a pooling of its own is that of a network on its trunk's maps."""

import torch
from networks import trained

from sertk.models.pooledhead import PooledHead


def test_its_logits_are_those_of_the_network():
    network = trained(channels=2, pooling="attentive")
    head = PooledHead(network.spec, 24).eval()
    head.pool.load_state_dict(network.pool.state_dict())
    head.head.load_state_dict(network.head.state_dict())
    feats = torch.randn(3, network.spec.bins, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps, _ = network.trunk(feats)
        torch.testing.assert_close(head(maps.flatten(1)), network(feats))
