"""What a run leaves after its epochs: kept models and their mean, events for TensorBoard."""

import errno
import json
import sys

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter
from toydata import NETWORK

from sertk.datadir.lists import read_list, write_list
from sertk.errors import SertkError
from sertk.models.averaging import union
from sertk.models.modelfile import load_model, save_model
from sertk.scoring.protocol import Corpus, Guard


def epochs(folder):
    return sorted(path.name for path in folder.glob("epoch.*.pt"))


def test_the_last_epochs_are_kept_whether_or_not_the_run_was_interrupted(toy, train):
    train("straight", "--epochs", 4, "--keep", 2)
    train("twice", "--epochs", 3, "--keep", 2)
    assert epochs(toy / "twice") == ["epoch.2.pt", "epoch.3.pt"]
    train("twice", "--epochs", 4, "--keep", 2)
    assert epochs(toy / "twice") == epochs(toy / "straight") == ["epoch.3.pt", "epoch.4.pt"]
    last, final = load_model(toy / "straight/epoch.4.pt"), load_model(toy / "straight/final.pt")
    assert last.digest == final.digest and last.card["trained_on"]["chosen_epoch"] == 4
    assert load_model(toy / "straight/epoch.3.pt").card["trained_on"]["chosen_epoch"] == 3
    train("none", "--epochs", 1)
    assert epochs(toy / "none") == []


def model_with(path, call, train, toy, value, counted):
    """A model all of whose weights are `value`, and whose BatchNorms have seen `counted` batches."""
    if not (toy / "exp/final.pt").exists():
        train("exp", "--epochs", 1)
    model = load_model(toy / "exp/final.pt")
    for tensor in model.network.state_dict().values():
        tensor.fill_(value if tensor.is_floating_point() else counted)
    save_model(path, model)
    return path


def test_the_mean_of_three_models_is_the_mean_of_each_number(toy, train, call):
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


def test_a_mean_of_small_differences_is_taken_in_double_precision(toy, train, call):
    value = 1 + 2**-23  # the float after 1: in single precision 1 + 1 + 1 + 1.0000001 is 4.0
    paths = [model_with(toy / f"{n}.pt", call, train, toy, n or value, 1) for n in (0, 1)]
    call("average-models", paths[0], paths[0], paths[1], toy / "mean.pt")
    found = load_model(toy / "mean.pt").network.state_dict()["head.output.bias"]
    assert (found == torch.tensor((2 * value + 1) / 3)).all() and found[0] > 1


def test_an_average_of_epochs_is_scored_as_they_are(toy, train, call):
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


def test_models_of_other_networks_labels_or_front_ends_are_refused(toy, train, call):
    train("exp", "--epochs", 1)
    first = toy / "exp/final.pt"
    train("wide", "--epochs", 1, network=("--channels", 3, *NETWORK[2:]))
    err = call("average-models", first, toy / "wide/final.pt", toy / "mean.pt", code=1).err
    assert f"{toy}/wide/final.pt: channels 3, but {first} has 2" in err
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", {key: label.upper() for key, label in labels.items()})
    train("loud", "--epochs", 1)
    err = call("average-models", first, toy / "loud/final.pt", toy / "mean.pt", code=1).err
    assert "labels ANG HAP NEU SAD, but" in err
    other = load_model(first)
    other.frontend = {"fbank": {"num-mel-bins": 80}}
    save_model(toy / "other.pt", other)
    assert "front end {'fbank': " in call("average-models", first, toy / "other.pt", toy / "mean.pt", code=1).err
    other = load_model(first)
    other.card = {}
    save_model(toy / "silent.pt", other)
    err = call("average-models", first, toy / "silent.pt", toy / "mean.pt", code=1).err
    assert "silent.pt does not record what it was trained on" in err and not (toy / "mean.pt").exists()
    assert "at least two models are needed" in call("average-models", first, toy / "mean.pt", code=2).err


def test_what_a_mean_was_trained_on_is_all_that_its_models_were():
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


def test_tensorboard_shows_every_epoch_once_though_the_run_went_on(toy, train):
    board = toy / "board"
    train("exp", "--epochs", 1, "--tensorboard", board)
    train("exp", "--epochs", 2, "--tensorboard", board)
    events = EventAccumulator(str(board)).Reload()
    records = [json.loads(line) for line in (toy / "exp/train.jsonl").read_text().splitlines()]
    names = set(records[0]) - {"epoch"}
    assert set(events.Tags()["scalars"]) == names and {"loss", "accuracy", "learning_rate"} < names
    for name in names:
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert shown == [(1, pytest.approx(records[0][name])), (2, pytest.approx(records[1][name]))]


def test_without_the_package_one_line_says_so(toy, train, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    err = train("exp", "--epochs", 1, "--tensorboard", toy / "board", code=1).err
    assert "--tensorboard: the package is not installed (pip install tensorboard)" in err and err.count("\n") <= 2


def test_models_of_other_names_and_other_runs_are_let_be(toy, train):
    train("exp", "--epochs", 3, "--keep", 1000000000)
    for name in ("epoch.mean.pt", "epoch.1-3.pt", "epoch.9.pt"):
        (toy / "exp" / name).write_bytes(b"mine")
    train("exp", "--epochs", 4, "--keep", 2)
    assert epochs(toy / "exp") == ["epoch.1-3.pt", "epoch.3.pt", "epoch.4.pt", "epoch.9.pt", "epoch.mean.pt"]


def test_a_full_disk_under_tensorboard_does_not_end_the_training(toy, train, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "flush", full)
    err = train("exp", "--epochs", 2, "--tensorboard", toy / "board").err
    assert err.count("writing stopped: No space left on device") == 1 and (toy / "exp/final.pt").exists()


def test_weights_that_are_no_numbers_are_not_averaged(toy, train, call):
    paths = [model_with(toy / f"{n}.pt", call, train, toy, n, 1) for n in (1, float("nan"))]
    assert "nan.pt: has weights that are NaN or infinite" in call("average-models", *paths, toy / "mean.pt", code=1).err


def test_a_mean_over_folds_does_not_count_the_labels_of_one():
    first = {"keys": ["a"], "labels": {"ang": 1}, "fold": "1"}
    assert "labels" not in union([first, {"keys": ["b"], "labels": {"ang": 1}, "fold": "2"}])
    assert union([first, first])["labels"] == {"ang": 1}


def test_a_model_is_not_overwritten_where_the_name_of_the_mean_was_forgotten(toy, train, call):
    train("exp", "--epochs", 3, "--keep", 3)
    paths = [toy / f"exp/epoch.{n}.pt" for n in (1, 2, 3)]
    before = paths[2].read_bytes()
    assert "epoch.3.pt: exists and is not an averaged model" in call("average-models", *paths, code=1).err
    assert paths[2].read_bytes() == before
    call("average-models", *paths, toy / "mean.pt")
    call("average-models", *paths, toy / "mean.pt")
