import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sertk.models.inference import padded
from sertk.models.resnet import NetworkSpec, ResNet, count_parameters
from sertk.models.spec import after_strides

TINY = {"bins": 16, "channels": 2, "blocks": (1, 2, 1, 1), "embedding_dim": 8}


def tiny(**fields):
    torch.manual_seed(0)
    network = ResNet(NetworkSpec(4, **(TINY | fields)))
    for module in network.modules():  # statistics as after training: padding would show through a shift of 0
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network.eval()


def test_the_papers_network_has_the_papers_size():
    network = ResNet(NetworkSpec(7205))
    assert network.spec.pooled_dim == 8192
    assert count_parameters(network) == 9_272_999 and count_parameters(network.trunk) == 5_323_393
    # With BatchNorm's running statistics, all that the file keeps: 9.28 M and 5.33 M.
    kept = {name: t.numel() for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert round(sum(kept.values()) / 1e6, 2) == 9.28
    assert round(sum(n for name, n in kept.items() if name.startswith("trunk")) / 1e6, 2) == 5.33
    assert [len(stage) for stage in network.trunk.stages] == [3, 4, 6, 3]


def test_strides_leave_an_eighth_of_bins_and_frames():
    maps, _ = tiny(bins=128).trunk(torch.zeros(1, 128, 300))
    assert maps.shape == (1, 16, 16, after_strides(300)) and after_strides(300) == 38


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 70), min_size=2, max_size=5),
    st.sampled_from(["stats", "mean"]),
    st.sampled_from(["prelu", "relu"]),
)
def test_padding_changes_no_posterior(lengths, pooling, activation):
    network = tiny(pooling=pooling, activation=activation)
    segments = [
        torch.randn(frames, 16, generator=torch.Generator().manual_seed(i)).numpy() for i, frames in enumerate(lengths)
    ]
    feats, sizes = padded(segments)
    with torch.no_grad():
        together = network(feats, sizes).softmax(dim=1)
        alone = torch.cat([network(torch.from_numpy(s.T.copy())[None]).softmax(dim=1) for s in segments])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_padding_left_out_of_the_pooling_alone_would_be_wrong():
    # What the masks between the convolutions are for: without them the same batch is off by far more than 1e-5.
    network = tiny()
    segments = [torch.randn(20, 16).numpy(), torch.randn(60, 16).numpy()]
    feats, sizes = padded(segments)
    with torch.no_grad():
        maps, _ = network.trunk(feats)
        pooled_alone = network.head(network.pool(maps, (sizes + 7) // 8))
        alone = network(torch.from_numpy(segments[0].T.copy())[None])
    assert (pooled_alone[0] - alone[0]).abs().max() > 1e-3


@pytest.mark.parametrize("frames", [1, 7, 8, 9])
def test_a_few_frames_have_finite_outputs_and_gradients(frames):
    network = tiny().train()
    network(torch.randn(2, 16, frames)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    "fields",
    [{"blocks": (1, 1)}, {"pooling": "max"}, {"activation": "gelu"}, {"pooling": "none"}, {"frames": 300}],
)
def test_a_network_that_cannot_be_built_is_refused(fields):
    with pytest.raises(ValueError):
        NetworkSpec(4, **fields)


def test_a_spec_survives_its_plain_form():
    spec = NetworkSpec(4, **TINY)
    assert NetworkSpec.from_plain(spec.plain()) == spec
