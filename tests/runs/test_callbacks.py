"""Per-epoch callbacks: recent models, TensorBoard events."""

import errno
import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from sertk.models.modelfile import load_model


def epochs(folder):
    return sorted(path.name for path in folder.glob("epoch.*.pt"))


def test_last_epochs_are_kept_over_a_resume(toy, train):
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


def test_files_of_other_names_are_not_removed(toy, train):
    train("exp", "--epochs", 3, "--keep", 1000000000)
    for name in ("epoch.mean.pt", "epoch.1-3.pt", "epoch.9.pt"):
        (toy / "exp" / name).write_bytes(b"mine")
    train("exp", "--epochs", 4, "--keep", 2)
    assert epochs(toy / "exp") == ["epoch.1-3.pt", "epoch.3.pt", "epoch.4.pt", "epoch.9.pt", "epoch.mean.pt"]


def test_tensorboard_has_every_epoch_once_after_a_resume(toy, train):
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


def test_missing_tensorboard_is_one_line(toy, train, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    err = train("exp", "--epochs", 1, "--tensorboard", toy / "board", code=1).err
    assert "--tensorboard: the package is not installed (pip install tensorboard)" in err and err.count("\n") <= 2


def test_full_disk_under_tensorboard_does_not_end_a_run(toy, train, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "flush", full)
    err = train("exp", "--epochs", 2, "--tensorboard", toy / "board").err
    assert err.count("writing stopped: No space left on device") == 1 and (toy / "exp/final.pt").exists()
