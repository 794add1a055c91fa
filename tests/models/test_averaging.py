"""Averages of weights, and the training record of an average."""

import pytest
import torch
from networks import trained

from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.models.averaging import average_models, union
from sertk.models.calibrated import calibrated
from sertk.models.modelfile import Model, load_model, save_model
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard


def model_with(path, call, train, toy, value, counted):
    """A model all of whose weights are `value`, and whose BatchNorms have seen `counted` batches."""
    if not (toy / "exp/final.pt").exists():
        train("exp", "--epochs", 1)
    model = load_model(toy / "exp/final.pt")
    for tensor in model.network.state_dict().values():
        tensor.fill_(value if tensor.is_floating_point() else counted)
    save_model(path, model)
    return path


def test_average_of_three_models_is_that_of_each_weight(toy, train, call):
    values = ((1, 5), (2, 6), (6, 7))
    paths = [model_with(toy / f"{value}.pt", call, train, toy, value, counted) for value, counted in values]
    assert "the average of 3 models" in call("average-models", *paths, toy / "mean.pt").err
    averaged = load_model(toy / "mean.pt")
    weights = averaged.network.state_dict()
    assert weights["head.output.weight"].dtype == torch.float32
    assert all((tensor == (3 if tensor.is_floating_point() else 7)).all() for tensor in weights.values())
    assert averaged.card["settings"]["models"] == {str(path): load_model(path).digest for path in paths}
    assert averaged.card["trained_on"] == load_model(paths[0]).card["trained_on"]
    assert averaged.labels == load_model(paths[0]).labels and averaged.frontend == load_model(paths[0]).frontend


def test_average_is_taken_in_double_precision(toy, train, call):
    value = 1 + 2**-23  # the float after 1: in single precision 1 + 1 + 1 + 1.0000001 is 4.0
    paths = [model_with(toy / f"{n}.pt", call, train, toy, n or value, 1) for n in (0, 1)]
    call("average-models", paths[0], paths[0], paths[1], toy / "mean.pt")
    found = load_model(toy / "mean.pt").network.state_dict()["head.output.bias"]
    assert (found == torch.tensor((2 * value + 1) / 3)).all() and found[0] > 1


def test_average_of_epochs_is_scored_as_they_are(toy, train, call):
    train("exp", "--epochs", 3, "--keep", 3, "--utt2fold", toy / "utt2fold", "--fold", 1)
    call("average-models", *(toy / f"exp/epoch.{n}.pt" for n in (1, 2, 3)), toy / "mean.pt")
    record = load_model(toy / "mean.pt").card["trained_on"]
    assert record["fold"] == "1" and record["segments"] == 20 and "chosen_epoch" not in record
    folds = read_list(toy / "utt2fold")
    guard, corpus = Guard(), Corpus(folds)
    guard.check("mean", {"trained_on": record}, [key for key, fold in folds.items() if fold == "1"], corpus)
    assert guard.state == "clean"
    with pytest.raises(SertkError, match=r"test segment .* and 19 more in its training"):
        guard.check("mean", {"trained_on": record}, [key for key, fold in folds.items() if fold == "2"], corpus)


def test_calibrated_models_are_not_averaged(toy, train, call):
    """Their weights, or of cosines their scale, are divided by a temperature that the average would not record."""
    train("exp", "--epochs", 1, "--loss", "am")
    save_model(toy / "calibrated.pt", calibrated(load_model(toy / "exp/final.pt"), 2.0, "results.json"))
    err = call("average-models", toy / "exp/final.pt", toy / "calibrated.pt", toy / "mean.pt", code=1).err
    assert "calibrated.pt: is calibrated: average models first" in err and not (toy / "mean.pt").exists()


def test_infinite_weights_are_not_averaged(toy, train, call):
    paths = [model_with(toy / f"{n}.pt", call, train, toy, n, 1) for n in (1, float("nan"))]
    assert "nan.pt: has weights that are NaN or infinite" in call("average-models", *paths, toy / "mean.pt", code=1).err


def test_average_was_trained_on_the_union_of_its_models_data():
    base = {"keys": ["v1"], "select": "last", "segments": 1}
    first = {"keys": ["a"], "fold": "1", "select": "last", "trunk": base}
    second = {
        "keys": ["b"],
        "fold": "2",
        "select": "dev-session",
        "chosen_on": {"fold": "3", "keys": ["c"]},
        "trunk": base,
    }
    assert union([first, second]) == {
        "keys": ["a", "b", "c"], "segments": 3, "select": "dev-session", "trunk": base,
    }  # fmt: skip
    oracle = {"keys": ["b"], "fold": "1", "select": "oracle", "chosen_on": {"fold": "1", "keys": ["t"]}}
    assert union([first, oracle]) == {"keys": ["a", "b"], "segments": 2, "fold": "1", "select": "oracle", "init": base}
    assert union([{}, {}]) == {}
    # What one of them does not say is not taken for nothing.
    assert union([first, {"speakers": ["s"], "fold": "1"}])["incomplete"] is True
    assert union([first, {"keys": ["b"], "init": {}}])["init"]["incomplete"] is True
    assert union([{"keys": ["a"], "init": {}}, {"keys": ["b"], "trunk": {}}])["init"] == {}
    known = [{"keys": [key], "speakers": [key.upper()]} for key in "ab"]
    assert union(known)["speakers"] == ["A", "B"]
    assert "speakers" not in union([known[0], {"keys": ["c"]}]) and "incomplete" not in union(
        [known[0], {"keys": ["c"]}]
    )


def test_average_over_folds_has_no_label_counts():
    first = {"keys": ["a"], "labels": {"ang": 1}, "fold": "1"}
    assert "labels" not in union([first, {"keys": ["b"], "labels": {"ang": 1}, "fold": "2"}])
    assert union([first, first])["labels"] == {"ang": 1}


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
