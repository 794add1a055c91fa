"""Training runs that are resumed: prolonged, killed, on another processor, and refused with another option."""

import random
import sys
import time
from pathlib import Path

import pytest
from ranks import Ranks
from support import wait_for
from toydata import write_toy_data
from trainings import train_words

from sertk import runtime
from sertk.cli.train_resnet import main as train_resnet
from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model, read_checked
from sertk.training import compile as compiling


def test_prolonged_run_equals_an_uninterrupted_one(toy, train):
    train("twice", "--epochs", 1)
    assert "resuming after epoch 1" in train("twice", "--epochs", 3).err
    train("once", "--epochs", 3)
    assert (toy / "twice/final.pt").read_bytes() == (toy / "once/final.pt").read_bytes()


def hit(folder: Path, rng, alive, kill) -> str | None:
    """Kill a run that has just been started; says where it was hit, or None where it had come to its end."""
    state = folder / "state.pt"

    def now() -> int:
        return state.stat().st_mtime_ns if state.exists() else 0

    before = now()
    if rng.random() < 0.1:
        time.sleep(rng.uniform(0, 3))
    else:
        for _ in range(rng.randint(1, 12)):  # so many batches or some more, whatever else the machine has to do
            last = now()
            wait_for(lambda last=last: now() != last or not alive())
        time.sleep(rng.uniform(0, 0.03))
    if not alive():
        return None
    kill()
    if now() == before:
        return "before its first batch"
    read_checked(state)  # whole, whatever was going on
    return "in mid-checkpoint" if list(folder.glob("*.tmp")) else "between checkpoints"


def same(folder: Path, other: Path) -> bool:
    return all((folder / name).read_bytes() == (other / name).read_bytes() for name in ("final.pt", "train.conf"))


SLOW_KILLS = [pytest.param(seed, 5, 8, marks=pytest.mark.slow) for seed in range(11)]


@pytest.mark.parametrize(("seed", "kills", "copies"), [(0, 3, 3), *SLOW_KILLS])
def test_killed_run_equals_an_uninterrupted_one(toy, seed, kills, copies):
    kill_and_compare(toy, seed, kills, "--copies", copies)


@pytest.mark.slow
@pytest.mark.parametrize("options", ["--train head --pooling attentive", "--input-norm true", "--train from-block-3"])
def test_killed_fine_tuning_equals_an_uninterrupted_one(toy, train, options):
    train("other", "--epochs", 1, "--input-norm", "true")
    kill_and_compare(toy, 0, 5, "--init", toy / "other/final.pt", *options.split(), "--copies", 3)


def kill_and_compare(toy, seed, kills, *options):
    """Kill train-resnet `kills` times; its reruns must end with the bytes of a run that was left alone."""
    options = (*options, "--epochs", 3, "--checkpoint-every", 0)  # 90 batches with 8 copies
    Ranks(toy, 1, train_words(toy, "straight", *options)).ended_well()
    rng, hits, name = random.Random(seed), [], "killed"
    while len(hits) < kills:
        run = Ranks(toy, 1, train_words(toy, name, *options))
        where = hit(toy / name, rng, run.alive, run.end)
        if where:
            hits.append(where)
        else:  # it had come to its end first: another one
            run.ended_well()
            assert same(toy / name, toy / "straight")
            name += "_again"
    Ranks(toy, 1, train_words(toy, name, *options)).ended_well()
    assert same(toy / name, toy / "straight")
    print(f"killed {hits}", file=sys.__stderr__)


# A run is started with STARTED; each option with another value, and what the refusal says of it.
STARTED = ("--utt2fold", "utt2fold", "--fold", 2, "--epochs", 1, "--trunk-scale", 1)


CHANGES = {
    "channels": (3, "network.channels=2, now it is 3"),
    "blocks": ("1,1,2,1", "network.blocks=[1, 1, 1, 1], now it is [1, 1, 2, 1]"),
    "pooling": ("mean", "network.pooling=stats, now it is mean"),
    "embedding-dim": (9, "network.embedding_dim=8, now it is 9"),
    "activation": ("relu", "network.activation=prelu, now it is relu"),
    "input-norm": ("true", "network.input_norm=None, now it is True"),
    "chunk-frames": ("24", "chunk_frames=[24, 32], now it is [24]"),
    "augment": ("none", "augment=['none', 'conservative', 'aggressive'], now it is ['none']"),
    "padding": ("zero", "padding=repeat, now it is zero"),
    "mask-scope": ("segment", "mask_scope=chunk, now it is segment"),
    "copies": (2, "copies=1, now it is 2"),
    "batch-size": (16, "batch_size=32, now it is 16"),
    "learning-rate": (0.5, "learning_rate=0.01, now it is 0.5"),
    "hold-epochs": (7, "hold_epochs=8, now it is 7"),
    "halve-every": (3, "halve_every=2, now it is 3"),
    "schedule": ("cosine", "schedule=None, now it is cosine"),
    "final-learning-rate": (1e-4, "final_learning_rate=None, now it is 0.0001"),
    "warmup-epochs": (0.5, "warmup_epochs=None, now it is 0.5"),
    "nesterov": ("true", "nesterov=None, now it is True"),
    "decay-all": ("false", "decay_all=None, now it is False"),
    "loss": ("am", "loss=None, now it is am"),
    "margin": (0.3, "margin=None, now it is 0.3"),
    "margin-from": (2, "margin_from=None, now it is 2"),
    "margin-to": (3, "margin_to=None, now it is 3"),
    "inter-topk": (2, "inter_topk=None, now it is 2"),
    "inter-topk-penalty": (0.1, "inter_topk_penalty=None, now it is 0.1"),
    "scale": (16, "network.scale=None, now it is 16"),
    "subcentres": (2, "network.subcentres=None, now it is 2"),
    "momentum": (0.5, "momentum=0.9, now it is 0.5"),
    "weight-decay": (0.1, "weight_decay=0.0, now it is 0.1"),
    "label-smoothing": (0.1, "label_smoothing=0.0, now it is 0.1"),
    "init": ("other/final.pt", "init=None, now it is "),
    "train": ("from-block-4", "train=all, now it is from-block-4; "),
    "frozen-batchnorm": ("train", "frozen_batchnorm=eval, now it is train"),
    "soft-labels": ("votes", "soft_labels=None, now it is "),
    "class-weights": ("balanced", "class_weights=none, now it is balanced"),
    "compile": ("true", "compile=false, now it is true"),
    "sampling": ("balanced", "sampling=natural, now it is balanced"),
    "trunk-scale": (0.5, "trunk_scale=1.0, now it is 0.5"),
    "utt2fold": ("swapped", "data.labels="),
    "fold": (1, "data.labels="),
    "select": ("oracle", "select=last, now it is oracle"),
    "precision": ("bf16", "precision=float32, now it is bf16"),
    "sync-batchnorm": ("true", "sync_batchnorm=False, now it is True"),
    "seed": (1, "seed=0, now it is 1"),
}


# What goes with them.
NEEDED = ("--init", "other/final.pt", "--train", "from-block-4")
MARGIN = ("--loss", "aam", "--inter-topk", 1)
EXTRA = {
    "train": NEEDED[:2], "frozen-batchnorm": NEEDED, "final-learning-rate": ("--schedule", "exponential"),
    **dict.fromkeys(("margin", "margin-from", "margin-to", "scale", "subcentres", "inter-topk-penalty"), MARGIN),
    "inter-topk": MARGIN[:2], "decay-all": ("--weight-decay", 0.1),
}  # fmt: skip


# Options that a run may change on its way: they shape what is left of it, or how it is watched, not what it computes.
FREE = {"version", "print-args", "epochs", "checkpoint-every", "restart", "max-skip", "device", "num-threads", "config",
        "verbose",
        "keep", "tensorboard"}  # fmt: skip


def test_every_option_is_listed_as_free_or_refused():
    options = {param.opts[0].removeprefix("--") for param in train_resnet.params if param.opts[0].startswith("--")}
    assert options == CHANGES.keys() | FREE


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A run of one epoch, another one whose model can be --init, and folds the other way round."""
    folder = write_toy_data(tmp_path_factory.mktemp("begun"))
    write_list(folder / "swapped", {key: str(3 - int(fold)) for key, fold in read_list(folder / "utt2fold").items()})
    write_list(folder / "votes", {key: f"E1={label}" for key, label in read_list(folder / "utt2label").items()})
    run = Ranks(folder, 1, train_words(folder, "exp", *located(folder, STARTED)))
    run.ended_well()
    Ranks(folder, 1, train_words(folder, "other", "--epochs", 1)).ended_well()
    return folder


def located(folder, options):
    return [folder / word if word in ("utt2fold", "swapped", "votes", "other/final.pt") else word for word in options]


@pytest.mark.parametrize("option", CHANGES)
def test_changed_option_is_refused_and_named(started, call, monkeypatch, option):
    monkeypatch.setattr(compiling, "obstacle", lambda *_: None)  # not tried: nothing is compiled before the refusal
    value, difference = CHANGES[option]
    options = located(started, [*STARTED, "--epochs", 2, f"--{option}", value, *EXTRA.get(option, ())])
    before = (started / "exp/state.pt").read_bytes()
    err = call("train-resnet", *train_words(started, "exp", *options), code=1).err
    line = err.strip().splitlines()[-1]
    assert "exp/state.pt: this run was started with " in line and difference in line and "--restart true" in line
    assert err.count("ERROR") == 1 and (started / "exp/state.pt").read_bytes() == before


def test_resume_on_another_processor_keeps_precision(toy, train, monkeypatch):
    def run(*options, built_for_bf16, name="exp"):
        monkeypatch.setattr(runtime, "computes_bf16", lambda device: built_for_bf16)
        return train(name, *options).err

    assert "bf16 on cpu" in run("--epochs", 1, built_for_bf16=True)
    err = run("--epochs", 2, built_for_bf16=False)
    assert "bf16 on cpu" in err and err.count("WARNING") == err.count("bf16 is emulated") == 1
    assert load_model(toy / "exp/final.pt").card["settings"]["precision"] == "bf16"
    assert "--precision=bf16\n" in (toy / "exp/train.conf").read_text()
    run("--epochs", 2, built_for_bf16=True, name="once")
    assert (toy / "once/final.pt").read_bytes() == (toy / "exp/final.pt").read_bytes()
    # A finished model is kept, also where nothing but the model was copied from the other machine.
    for name in ("state.pt", "train.conf"):
        err = run("--epochs", 2, built_for_bf16=False)
        assert "skipped" in err and "WARNING" not in err
        (toy / "exp" / name).unlink()
    run("--epochs", 1, built_for_bf16=False, name="here")
    assert load_model(toy / "here/final.pt").card["settings"]["precision"] == "float32"
    assert "--precision=float32\n" in (toy / "here/train.conf").read_text()
