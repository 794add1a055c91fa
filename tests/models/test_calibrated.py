"""A temperature in the output layer: the posteriors are those of temperature scaling."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import trained
from scipy.special import log_softmax, softmax

from sertk.errors import SertkError
from sertk.models.calibrated import calibrated, temperature_of
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.resnet import ResNet
from sertk.models.spec import HeadSpec
from sertk.models.vectorhead import VectorHead


@pytest.fixture
def model():
    return Model(trained(), list("abcd"), card={"command": "train-resnet"})


@pytest.mark.parametrize(
    "fields", [{}, {"output": "cosine"}, {"output": "cosine", "scale": 9.0, "subcentres": 2}], ids=str
)
def test_posteriors_are_scaled_by_the_temperature(fields, tmp_path):
    """From a file too, and the model itself stays as it is."""
    model, feats = Model(trained(**fields), list("abcd")), torch.randn(2, 16, 40)
    with torch.no_grad():
        before = model.network(feats).numpy()
        save_model(tmp_path / "out.pt", calibrated(model, 2.5, "results.json"))
        after = load_model(tmp_path / "out.pt").network(feats).numpy()
        assert np.array_equal(model.network(feats).numpy(), before)
        assert model.network.spec == trained(**fields).spec
    np.testing.assert_allclose(softmax(after, axis=1), softmax(log_softmax(before, axis=1) / 2.5, axis=1), rtol=1e-5)


def test_the_card_has_the_temperature_once(model):
    assert temperature_of(model) is None
    result = calibrated(model, 2.5, "results.json")
    assert temperature_of(result) == 2.5 and result.card["command"] == "train-resnet"
    with pytest.raises(SertkError, match="calibrated already, with temperature"):
        calibrated(result, 2.0, "results.json")


def test_a_head_on_vectors_is_scaled_too():
    torch.manual_seed(0)
    head = VectorHead(HeadSpec(6, 4, embedding_dim=0)).eval()
    vectors = torch.randn(3, 6)
    with torch.no_grad():
        before, after = head(vectors), calibrated(Model(head, list("abcd")), 0.5, "").network(vectors)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_a_network_without_output_is_refused(model):
    network = ResNet(replace(model.network.spec, num_labels=0))
    with pytest.raises(SertkError, match="no output layer"):
        calibrated(Model(network, []), 2.0, "results.json")
