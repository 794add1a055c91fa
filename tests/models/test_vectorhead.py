"""A head on vectors: standardisation, layers, the mean over a segment's rows."""

import numpy as np
import pytest
import torch

from sertk.errors import SertkError
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.spec import HeadSpec
from sertk.models.vectorhead import VectorHead, on_vectors, posteriors

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def head(spec, columns=None):
    torch.manual_seed(0)
    made = VectorHead(spec)
    if columns is not None:
        made.standardise(columns.mean(axis=0), columns.std(axis=0))
    return made.eval()


def test_linear_head_is_softmax_of_standardised_columns():
    rows = RNG.normal([0, 1e4, 7, 0.1], [1, 5, 0, 1e-3], (50, 4))
    made = head(HeadSpec(4, 3, embedding_dim=0), rows)
    weight, bias = made.output.weight.detach().numpy(), made.output.bias.detach().numpy()
    normal = (rows - rows.mean(axis=0)) / np.where(rows.std(axis=0) > 1e-12, rows.std(axis=0), np.inf)
    expected = softmax(normal @ weight.T + bias)
    with torch.no_grad():
        found = made(torch.from_numpy(rows.astype(np.float32))).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)  # 10,000 ± 5 in float32
    assert made.scale[2] == 0  # a column that is constant in training


def test_constant_column_of_large_numbers_is_ignored():
    """In float32 its deviation is rounding, not 0."""
    made = head(HeadSpec(2, 2, embedding_dim=0))
    made.standardise(np.array([1e8, 1.0]), np.array([4.0, 0.5]))
    assert made.scale.tolist() == [0, 2]


def test_layers_are_averaged_with_the_softmax_of_their_weights():
    made = head(HeadSpec(5, 3, embedding_dim=4, layers=3))
    made.layers.data = torch.tensor([0.5, -1.0, 2.0])
    matrices = RNG.normal(size=(6, 3, 5)).astype(np.float32)
    plain = head(HeadSpec(5, 3, embedding_dim=4))
    weights = {name: tensor for name, tensor in made.state_dict().items() if name not in ("mean", "scale", "layers")}
    plain.load_state_dict(weights, strict=False)
    average = np.einsum("l,bld->bd", softmax(np.array([0.5, -1.0, 2.0])), matrices)
    with torch.no_grad():
        wanted = plain(torch.from_numpy(average.astype(np.float32)))
        torch.testing.assert_close(made(torch.from_numpy(matrices.reshape(6, 15))), wanted)
    np.testing.assert_allclose(made.layer_weights().numpy(), softmax(np.array([0.5, -1.0, 2.0])), rtol=1e-6)


def test_posterior_of_a_segment_is_the_mean_over_its_rows():
    made = head(HeadSpec(4, 3))
    segments = {key: RNG.normal(size=(rows, 4)).astype(np.float32) for key, rows in (("a", 1), ("b", 3), ("c", 2))}
    with torch.no_grad():
        each = {key: made(torch.from_numpy(rows)).softmax(dim=1).numpy() for key, rows in segments.items()}
    for key, found in on_vectors(made, segments.items(), CPU):
        np.testing.assert_allclose(found, each[key].mean(axis=0), rtol=1e-5)
    together = posteriors(made, torch.from_numpy(np.concatenate(list(segments.values()))), torch.tensor([1, 3, 2]))
    np.testing.assert_allclose(together.numpy(), [each[key].mean(axis=0) for key in segments], rtol=1e-5)


def test_values_of_another_size_are_refused():
    with pytest.raises(SertkError, match="1 × 5, this head takes 4 numbers a row"):
        head(HeadSpec(4, 3)).rows(np.zeros(5, np.float32))
    with pytest.raises(SertkError, match="2 × 4, this head takes 3 × 4"):
        head(HeadSpec(4, 3, layers=3)).rows(np.zeros((2, 4), np.float32))


def test_model_file_of_a_head_comes_back_and_has_no_trunk(tmp_path):
    made = head(HeadSpec(4, 3, layers=2), RNG.normal(size=(9, 8)))
    save_model(tmp_path / "final.pt", Model(made, ["a", "b", "c"], {"at": "pool"}, {"seed": 0}))
    loaded = load_model(tmp_path / "final.pt", heads=True)
    assert loaded.network.spec == made.spec and loaded.frontend == {"at": "pool"}
    for name, tensor in made.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)
    with pytest.raises(SertkError, match=r"a head on vectors, without a trunk .*: predict-emotion takes it"):
        load_model(tmp_path / "final.pt")
