"""The spec of a network names what its modules are."""

import pytest
import torch

from sertk.models.activation import activation
from sertk.models.pooling import pooling_of
from sertk.models.spec import ACTIVATIONS, POOLING_FACTORS, HeadSpec, NetworkSpec, after_strides, stages_dim


def test_names_are_those_of_the_modules():
    for name in POOLING_FACTORS:
        spec = NetworkSpec(4, bins=16, channels=2, pooling=name, frames=8 * (name == "none"))
        assert pooling_of(spec)(torch.zeros(1, 16, 2, 1)).shape == (1, spec.pooled_dim)
    assert all(activation(name, 4) is not None for name in ACTIVATIONS)


def test_paper_network_pools_8192_numbers():
    """32 channels: 256 maps of 16 bins each after four stages, mean and deviation (Padi et al. 2021, section 4.2)."""
    assert NetworkSpec(4).pooled_dim == 8192 and after_strides(128) == 16


def test_plain_form_is_read_back():
    spec = NetworkSpec(3, bins=16, channels=2, blocks=(1, 1, 1, 1), pooling="none", frames=24)
    assert NetworkSpec.from_plain(spec.plain()) == spec and spec.pooled_dim == 2 * 8 * 2 * 3


def test_fields_of_later_versions_are_not_in_older_models():
    plain = NetworkSpec(3).plain()
    assert set(plain) == {
        "num_labels",
        "bins",
        "channels",
        "blocks",
        "pooling",
        "embedding_dim",
        "activation",
        "frames",
    }
    cosine = NetworkSpec(3, output="cosine", subcentres=2)
    assert set(cosine.plain()) - set(plain) == {"output", "subcentres"}
    assert NetworkSpec.from_plain(cosine.plain()) == cosine and cosine.with_new_head(3) == NetworkSpec(3)


@pytest.mark.parametrize(
    "fields",
    [
        {"blocks": (1, 1)},
        {"pooling": "max"},
        {"activation": "gelu"},
        {"frames": 9},
        {"output": "norm"},
        {"subcentres": 0},
    ],
)
def test_impossible_networks_are_refused(fields):
    with pytest.raises(ValueError):
        NetworkSpec(4, **fields)


def test_every_stage_of_the_paper_network_pools_8192_numbers():
    """Twice the channels of the stage before it, half its bins."""
    assert [stages_dim(NetworkSpec(4), [number]) for number in (1, 2, 3, 4)] == [8192] * 4
    assert stages_dim(NetworkSpec(4, bins=80, pooling="none", frames=300), [3, 4]) == 2 * (128 * 20 + 256 * 10)


def test_head_spec_is_read_back():
    spec = HeadSpec(5, 3, embedding_dim=0, layers=4)
    assert HeadSpec.from_plain(spec.plain()) == spec and spec.input_dim == 20
