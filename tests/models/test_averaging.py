"""Averaged weights, and what an averaged model records of its training."""

import pytest
import torch
from networks import trained

from sertk.errors import SertkError
from sertk.models.averaging import average_models, union
from sertk.models.modelfile import Model, save_model


def saved(path, weight: float, labels=("a", "b", "c", "d"), **trained_on):
    """A model whose last layer's bias is `weight` everywhere."""
    network = trained()
    torch.nn.init.constant_(network.head.output.bias, weight)
    save_model(path, Model(network, list(labels), {}, {"trained_on": trained_on}))
    return path


def test_weights_are_averaged_and_records_united(tmp_path):
    paths = [saved(tmp_path / f"{n}.pt", w, keys=[f"u{n}", "u9"]) for n, w in enumerate((1.0, 2.0, 6.0))]
    model = average_models(paths)
    assert model.network.head.output.bias.tolist() == [3.0] * 4
    assert model.card["trained_on"]["keys"] == ["u0", "u1", "u2", "u9"]


def test_models_that_differ_are_not_averaged(tmp_path):
    paths = [saved(tmp_path / "a.pt", 1), saved(tmp_path / "b.pt", 1, labels="wxyz")]
    with pytest.raises(SertkError, match=r"b.pt: labels w x y z, but .*a.pt has a b c d"):
        average_models(paths)
    paths = [saved(tmp_path / "a.pt", 1, keys=["u"]), saved(tmp_path / "b.pt", 1)]
    with pytest.raises(SertkError, match=r"b.pt does not record what it was trained on, .*a.pt does"):
        average_models(paths)
    saved(tmp_path / "c.pt", float("nan"))
    with pytest.raises(SertkError, match=r"c.pt: has weights that are NaN or infinite"):
        average_models([tmp_path / "b.pt", tmp_path / "c.pt"])


def test_a_record_without_segments_makes_a_union_incomplete():
    assert union([{"keys": ["a"]}, {"speakers": ["s"]}])["incomplete"] is True
    assert "incomplete" not in union([{"keys": ["a"]}, {"keys": ["b"]}])
    assert union([{}, {}]) == {}
