"""The training loop: reading of losses, sources of chunks, the best epoch."""

import copy
import itertools

import torch
from toydata import LABELS
from trainings import StopAfter

from sertk.data.loader import HostChunks
from sertk.data.resident import ResidentChunks
from sertk.data.store import load_store
from sertk.datadir.lists import read_list
from sertk.jobs import inputs as job
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training import loop
from sertk.training.distributed import World
from sertk.training.loop import Training, seeded
from sertk.training.progress import Stopped
from sertk.training.settings import TrainingSettings
from sertk.training.targets import Targets


def test_losses_read_late_are_the_same(toy, train, monkeypatch):
    train("at_once", "--epochs", 2)
    monkeypatch.setitem(loop.READ_AFTER, "cpu", 3)
    train("late", "--epochs", 2)
    assert (toy / "at_once/final.pt").read_bytes() == (toy / "late/final.pt").read_bytes()


def test_infinite_loss_read_late_names_its_batch(toy, train, monkeypatch):
    options = ("--epochs", 3, "--learning-rate", 1e30, "--batch-size", 8)
    at_once = train("at_once", *options, code=1).err.splitlines()[-1]
    monkeypatch.setitem(loop.READ_AFTER, "cpu", 15)
    late = train("late", *options, code=1).err.splitlines()[-1]
    assert late == at_once and "the loss is" in late


def test_infinite_loss_names_its_segments(toy, train):
    err = train("exp", "--epochs", 3, "--learning-rate", 1e30, code=1).err
    assert "the loss is nan" in err or "the loss is inf" in err
    assert "spk0-utt" in err and err.strip().count("\n") <= 2


def test_nan_weights_are_not_saved(toy, train):
    """A step too large at the end of an epoch: no loss comes after it to tell."""
    one = ("--batch-size", 1000, "--augment", "none")
    err = train("exp", "--epochs", 1, "--learning-rate", 1e308, *one, code=1).err
    assert "epoch 1: weights are NaN or infinite (learning rate 1e+308)" in err
    assert not (toy / "exp/state.pt").exists() and not (toy / "exp/final.pt").exists()


def test_features_on_the_device_give_the_same_bytes(toy, train, monkeypatch):
    train("host", "--epochs", 2)
    monkeypatch.setattr(loop, "source_of_chunks", ResidentChunks)
    train("device", "--epochs", 2)
    assert (toy / "host/final.pt").read_bytes() == (toy / "device/final.pt").read_bytes()


def test_features_on_disk_give_the_same_bytes(toy, train, monkeypatch):
    train("memory", "--epochs", 2)
    made = []
    monkeypatch.setattr(job, "load_store", lambda feats: load_store(feats, resident_bytes=0))
    monkeypatch.setattr(loop, "source_of_chunks", lambda *args: made.append(HostChunks(*args)) or made[-1])
    train("disk", "--epochs", 2)
    assert (toy / "memory/final.pt").read_bytes() == (toy / "disk/final.pt").read_bytes()
    assert made[0].store.on_disk and made[0].threads > 1


def test_first_of_equal_epochs_is_kept_over_a_resume(toy):
    store = load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    truth = read_list(toy / "utt2label")
    targets = Targets(torch.tensor([LABELS.index(truth[key]) for key in store.keys]))
    uas, seen = [0.2, 0.5, 0.5, 0.4], []

    def scorer(network):
        network.eval()
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"dev_ua": uas[len(seen) - 1]}

    saved = []
    for epochs in (2, 4):  # as if it had been killed after the second
        network = seeded(lambda: ResNet(NetworkSpec(4, 16, 2, (1, 1, 1, 1), embedding_dim=8)), 0)
        settings = TrainingSettings(epochs=epochs, chunk_frames=(24,), augment=("none",))
        training = Training(network, store, targets, settings, torch.device("cpu"), World(), scorer=scorer,
                            progress=saved[-1] if saved else None, save=lambda p: saved.append(copy.deepcopy(p)))  # fmt: skip
        training.run(lambda *_: None)
    assert not torch.equal(network.state_dict()["head.output.bias"], seen[1]["head.output.bias"])
    kept, epoch = training.selected()
    assert epoch == 2 and len(seen) == 4
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in kept.state_dict().items())


MARGINS = {"loss": "aam", "margin_from": 2, "margin_to": 3, "inter_topk": 2, "schedule": "cosine", "warmup_epochs": 0.5,
           "nesterov": True, "weight_decay": 1e-3, "decay_all": False, "batch_size": 8}  # fmt: skip


def margin_training(toy, progress=None, save=None, **changed):
    store, truth = load_store(parse_rspecifier(f"scp:{toy}/feats.scp")), read_list(toy / "utt2label")
    targets = Targets(torch.tensor([LABELS.index(truth[key]) for key in store.keys]))
    settings = TrainingSettings(epochs=3, chunk_frames=(24,), augment=("none",), **(MARGINS | changed))
    spec = NetworkSpec(4, 16, 2, (1, 1, 1, 1), embedding_dim=8, output="cosine", subcentres=2)
    network = seeded(lambda: ResNet(spec), 0)
    return Training(network, store, targets, settings, torch.device("cpu"), World(), progress=progress, save=save)


def test_margins_and_rates_resume_bitwise(toy):
    """Stopped after every second batch: in the warm-up, as the margin rises, at the end of an epoch."""
    straight = margin_training(toy)
    seen = []
    straight.run(lambda *_: seen.append((straight.step.margin, straight.optimiser.param_groups[0]["lr"])))
    assert [margin for margin, _ in seen[:6]] == [0] * 6 and seen[7][0] < seen[8][0] < seen[-1][0] == 0.2
    assert seen[0][1] < seen[1][1] < seen[2][1] > seen[3][1] > seen[-1][1] > 0
    progress, resumed = None, []
    for _ in itertools.count():
        saved = []
        training = margin_training(toy, progress, lambda p, saved=saved: saved.append(copy.deepcopy(p)))
        try:
            training.run(lambda *_: resumed.append((training.step.margin, training.optimiser.param_groups[0]["lr"])),  # noqa: B023
                         StopAfter(1))  # fmt: skip
            break
        except Stopped:
            progress = saved[-1]
    assert resumed == seen
    states = [training.network.state_dict() for training in (straight, training)]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    rates = [[record["learning_rate"] for record in training.progress.history] for training in (straight, training)]
    assert rates[0] == rates[1] == [seen[index][1] for index in (4, 9, 14)]
