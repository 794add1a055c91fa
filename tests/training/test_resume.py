"""Runs that are killed, stopped, prolonged or changed: what goes on, to which bytes, and what is refused."""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from ranks import Ranks, wait_for
from support import ROOT
from toydata import NETWORK, write_toy_data

import sertk.jobs.train
from sertk import runtime
from sertk.atomic import only_process_in
from sertk.cli.train_resnet import main as train_resnet
from sertk.datadir.lists import read_list, write_list
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_table, table_writer
from sertk.models.modelfile import load_model, read_checked
from sertk.runs.run import RESTARTS
from sertk.training import compile as compiling


def words(toy, name, *options):
    return [*NETWORK, *options, f"scp:{toy}/feats.scp", toy / "utt2label", toy / name]


def start(toy, name, *options):
    line = [str(word) for word in [ROOT / "bin/train-resnet", *words(toy, name, *options)]]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True)


def test_training_prolonged_is_training_at_once(toy, train):
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
            wait_for(lambda last=last: now() != last or not alive(), timeout=300)
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


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 11))])
def test_a_run_that_was_killed_five_times_ends_with_the_bytes_of_one_that_was_not(toy, seed):
    options = ("--epochs", 3, "--copies", 8, "--checkpoint-every", 0)  # 90 batches
    Ranks(toy, 1, words(toy, "straight", *options)).ended_well()
    rng, hits, name = random.Random(seed), [], "killed"
    while len(hits) < 5:
        run = Ranks(toy, 1, words(toy, name, *options))
        where = hit(toy / name, rng, run.alive, run.end)
        if where:
            hits.append(where)
        else:  # it had come to its end first: another one
            run.ended_well()
            assert same(toy / name, toy / "straight")
            name += "_again"
    Ranks(toy, 1, words(toy, name, *options)).ended_well()
    assert same(toy / name, toy / "straight")
    print(f"killed {hits}", file=sys.__stderr__)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_makes_it_checkpoint_and_say_run_me_again(toy, number):
    run = Ranks(toy, 1, words(toy, "stopped", "--epochs", 60, "--copies", 8))
    wait_for((toy / "stopped/train.jsonl").exists)
    run.kill(0, number)
    assert run.codes() == [75]
    err = run.errors()[0]
    assert "run the same command again" in err and "Traceback" not in err
    assert 1 <= len(torch.load(toy / "stopped/state.pt", weights_only=True)["history"]) < 60


def test_a_signal_that_comes_at_once_is_noticed_too(toy):
    process = start(toy, "early", "--epochs", 40, "--copies", 8)
    proc = Path(f"/proc/{process.pid}")
    while not int(re.search(r"SigCgt:\s+(\w+)", (proc / "status").read_text())[1], 16) >> (signal.SIGUSR1 - 1) & 1:
        time.sleep(0.01)
    assert "libtorch" not in (proc / "maps").read_text()
    process.send_signal(signal.SIGUSR1)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err


# A run is begun with BEGUN; each option with another value, and what the refusal says of it.
BEGUN = ("--utt2fold", "utt2fold", "--fold", 2, "--epochs", 1, "--trunk-scale", 1)
CHANGES = {
    "channels": (3, "network.channels=2, now it is 3"),
    "blocks": ("1,1,2,1", "network.blocks=[1, 1, 1, 1], now it is [1, 1, 2, 1]"),
    "pooling": ("mean", "network.pooling=stats, now it is mean"),
    "embedding-dim": (9, "network.embedding_dim=8, now it is 9"),
    "activation": ("relu", "network.activation=prelu, now it is relu"),
    "chunk-frames": ("24", "chunk_frames=[24, 32], now it is [24]"),
    "augment": ("none", "augment=['none', 'conservative', 'aggressive'], now it is ['none']"),
    "padding": ("zero", "padding=repeat, now it is zero"),
    "mask-scope": ("segment", "mask_scope=chunk, now it is segment"),
    "copies": (2, "copies=1, now it is 2"),
    "batch-size": (16, "batch_size=32, now it is 16"),
    "learning-rate": (0.5, "learning_rate=0.01, now it is 0.5"),
    "hold-epochs": (7, "hold_epochs=8, now it is 7"),
    "halve-every": (3, "halve_every=2, now it is 3"),
    "momentum": (0.5, "momentum=0.9, now it is 0.5"),
    "weight-decay": (0.1, "weight_decay=0.0, now it is 0.1"),
    "label-smoothing": (0.1, "label_smoothing=0.0, now it is 0.1"),
    "init": ("other/final.pt", "init=None, now it is "),
    "train": ("head", "train=all, now it is head; "),
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
NEEDED = ("--init", "other/final.pt", "--train", "head")
# Options that a run may change on its way: they shape what is left of it, or how it is watched, not what it computes.
FREE = {"version", "print-args", "epochs", "checkpoint-every", "restart", "max-skip", "device", "num-threads", "config",
        "verbose",
        "keep", "tensorboard"}  # fmt: skip


def test_every_option_is_known_to_be_free_or_refused():
    options = {param.opts[0].removeprefix("--") for param in train_resnet.params if param.opts[0].startswith("--")}
    assert options == CHANGES.keys() | FREE


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of one epoch, another one whose model can be --init, and folds the other way round."""
    folder = write_toy_data(tmp_path_factory.mktemp("begun"))
    write_list(folder / "swapped", {key: str(3 - int(fold)) for key, fold in read_list(folder / "utt2fold").items()})
    write_list(folder / "votes", {key: f"E1={label}" for key, label in read_list(folder / "utt2label").items()})
    run = Ranks(folder, 1, words(folder, "exp", *located(folder, BEGUN)))
    run.ended_well()
    Ranks(folder, 1, words(folder, "other", "--epochs", 1)).ended_well()
    return folder


def located(folder, options):
    return [folder / word if word in ("utt2fold", "swapped", "votes", "other/final.pt") else word for word in options]


@pytest.mark.parametrize("option", CHANGES)
def test_a_changed_option_is_refused_with_the_difference_named(begun, call, monkeypatch, option):
    monkeypatch.setattr(compiling, "obstacle", lambda *_: None)  # not tried: nothing is compiled before the refusal
    value, said = CHANGES[option]
    extra = {"train": NEEDED[:2], "frozen-batchnorm": NEEDED}.get(option, ())
    options = located(begun, [*BEGUN, "--epochs", 2, f"--{option}", value, *extra])
    before = (begun / "exp/state.pt").read_bytes()
    err = call("train-resnet", *words(begun, "exp", *options), code=1).err
    line = err.strip().splitlines()[-1]
    assert "exp/state.pt: this run was started with " in line and said in line and "--restart true" in line
    assert err.count("ERROR") == 1 and (begun / "exp/state.pt").read_bytes() == before


def test_changed_labels_segments_and_features_are_told_apart(toy, train, call):
    train("exp", "--epochs", 1)
    labels = read_list(toy / "utt2label")
    first = next(iter(labels))
    write_list(toy / "utt2label", labels | {first: "neu" if labels[first] != "neu" else "sad"})
    assert "started with data.labels=" in train("exp", "--epochs", 2, code=1).err
    write_list(toy / "utt2label", {key: label for key, label in labels.items() if key != first})
    assert "data.segments=40, now it is 39" in train("exp", "--epochs", 2, code=1).err
    write_list(toy / "utt2label", labels)
    with table_writer(f"ark,scp:{toy}/b.ark,{toy}/b.scp") as write:
        for key, feats in read_table(parse_rspecifier(f"scp:{toy}/feats.scp")):
            write(key, 2 * feats)
    louder = [*NETWORK, "--epochs", 2, f"scp:{toy}/b.scp", toy / "utt2label"]
    assert "started with data.features=" in call("train-resnet", *louder, toy / "exp", code=1).err
    for name in ("feats", "b"):  # without a manifest some rows stand for the table
        (toy / f"{name}.manifest").unlink()
    train("bare", "--epochs", 1)
    assert "started with data.features=" in call("train-resnet", *louder, toy / "bare", code=1).err


def test_another_version_of_the_code_is_refused(toy, train, monkeypatch):
    train("exp", "--epochs", 1)
    monkeypatch.setattr(sertk.jobs.train, "__version__", "0.0.9")
    assert "started with sertk=0.1.0, now it is 0.0.9" in train("exp", "--epochs", 2, code=1).err


@pytest.mark.parametrize("name", ["threads", "hardware", "torch", "code"])
def test_another_machine_is_warned_of_and_goes_on(toy, train, monkeypatch, name):
    train("exp", "--epochs", 1)
    marks = sertk.jobs.train.machine_fingerprint
    monkeypatch.setattr(sertk.jobs.train, "machine_fingerprint", lambda *args: marks(*args) | {name: "another"})
    err = train("exp", "--epochs", 2).err
    assert re.search(rf"WARNING: .*started with {name}=\S+, now it is another: the last bits will differ", err)
    assert "WARNING" not in train("exp", "--epochs", 3).err  # from here on it is another


def test_a_run_begun_again_keeps_the_old_one_aside(toy, train):
    train("exp", "--epochs", 1)
    train("exp", "--epochs", 2, "--learning-rate", 0.5, "--restart", "true")
    assert (toy / "exp.old.1/final.pt").exists() and (toy / "exp/train.jsonl").read_text().count("\n") == 2


def test_labels_in_another_order_are_refused(toy, train):
    train("exp", "--epochs", 1)
    (toy / "labels.txt").write_text("sad\nneu\nhap\nang\n")
    for epochs in (1, 2):
        err = train("exp", "--epochs", epochs, code=1).err
        assert "started with labels=ang hap neu sad, now it is sad neu hap ang" in err


def test_a_finished_run_is_left_as_it_is(toy, train, call):
    train("exp", "--epochs", 2)
    before = {path: path.read_bytes() for path in (toy / "exp").iterdir()}
    err = call("train-resnet", *words(toy, "exp", "--epochs", 2, "--num-threads", 2)).err
    assert f"{toy}/exp/final.pt: finished with these settings and data, skipped" in err
    assert {path: path.read_bytes() for path in (toy / "exp").iterdir()} == before
    err = train("exp", "--epochs", 1, code=1).err
    assert "state.pt: 2 epochs are finished, more than --epochs 1 (--restart true" in err
    records = toy / "exp/train.jsonl"
    records.write_text(records.read_text().splitlines(keepends=True)[0])  # killed before the second was written
    train("exp", "--epochs", 2)
    assert {path: path.read_bytes() for path in (toy / "exp").iterdir()} == before


def test_a_finished_model_without_a_state_is_kept_or_refused_but_never_overwritten(toy, train):
    train("exp", "--epochs", 1)
    (toy / "exp/state.pt").unlink()
    before = (toy / "exp/final.pt").read_bytes()
    assert "skipped" in train("exp", "--epochs", 1).err
    err = train("exp", "--epochs", 1, "--seed", 3, code=1).err
    assert "final.pt: is of another run (seed=0, now it is 3) and would be overwritten (--restart true" in err
    assert (toy / "exp/final.pt").read_bytes() == before
    (toy / "exp/final.pt").write_bytes(before[:99])
    assert "cut short (99 bytes): trained again" in train("exp", "--epochs", 1).err
    assert (toy / "exp/final.pt").read_bytes() == before


@pytest.mark.parametrize("name", ["TORCHELASTIC_RUN_ID", "SLURM_JOB_ID"])
def test_a_restart_of_a_call_that_is_started_again_is_done_once(toy, train, monkeypatch, name):
    train("exp", "--epochs", 2)
    again = ("--epochs", 2, "--restart", "true")
    monkeypatch.setenv(name, "7")
    monkeypatch.setenv(RESTARTS[name], "1")
    train("exp", *again)  # the job was started again before this call had its turn
    assert (toy / "exp.old.1/final.pt").exists()
    (toy / "exp/final.pt").unlink()  # killed before it was written
    assert "resuming after epoch 2" in train("exp", *again).err and not (toy / "exp.old.2").exists()
    monkeypatch.setenv(name, "8")
    train("exp", *again)
    assert (toy / "exp.old.2").exists()


def test_a_link_to_a_folder_stays_one_when_its_run_is_begun_again(toy, train, monkeypatch):
    train("real", "--epochs", 1)
    (toy / "exp").symlink_to(toy / "real")
    assert f"the old run is now {toy}/real.old.1" in train("exp", "--epochs", 1, "--restart", "true").err
    assert (toy / "exp").is_symlink() and (toy / "real/final.pt").exists()


def test_two_runs_do_not_write_in_one_folder(toy, train):
    train("exp", "--epochs", 1)
    before = {path: path.read_bytes() for path in (toy / "exp").iterdir()}
    with only_process_in(toy / "exp"):
        for more in ((), ("--restart", "true")):
            assert f"{toy}/exp: another process is writing in it" in train("exp", "--epochs", 2, *more, code=1).err
    assert {path: path.read_bytes() for path in (toy / "exp").iterdir()} == before


@pytest.mark.parametrize("row", ["first", "middle", "last"])
def test_features_changed_beneath_their_manifest_are_noticed(toy, train, row):
    train("exp", "--epochs", 1)
    manifest = (toy / "feats.manifest").read_bytes()
    table = dict(read_table(parse_rspecifier(f"scp:{toy}/feats.scp")))
    for feats in table.values():
        feats[{"first": 0, "middle": len(feats) // 2, "last": -1}[row]] *= -3
    with table_writer(f"ark,scp:{toy}/feats.ark,{toy}/feats.scp") as write:
        for key, feats in table.items():
            write(key, feats)
    (toy / "feats.manifest").write_bytes(manifest)
    assert "started with data.features=" in train("exp", "--epochs", 2, code=1).err


def test_a_state_that_is_none_is_one_line(toy, train):
    train("exp", "--epochs", 1)
    (toy / "exp/state.pt").write_bytes((toy / "exp/final.pt").read_bytes())
    err = train("exp", "--epochs", 2, code=1).err
    assert "state.pt: not a training state of this version of sertk (--restart true starts a new run" in err
    (toy / "exp/state.pt").write_bytes(b"cut")
    assert "--restart true" in train("exp", "--epochs", 2, code=1).err
    train("exp", "--epochs", 1, "--restart", "true")


def test_nan_weights_are_not_saved(toy, train):
    """A step too large at the end of an epoch: no loss comes after it to tell."""
    one = ("--batch-size", 1000, "--augment", "none")
    err = train("exp", "--epochs", 1, "--learning-rate", 1e308, *one, code=1).err
    assert "epoch 1: weights are NaN or infinite (learning rate 1e+308)" in err
    assert not (toy / "exp/state.pt").exists() and not (toy / "exp/final.pt").exists()


def test_a_single_chunk_is_too_few(toy, train):
    write_list(toy / "utt2label", dict(list(read_list(toy / "utt2label").items())[:2]))
    write_list(toy / "utt2fold", {key: str(n) for n, key in enumerate(read_list(toy / "utt2label"))})
    folds = ("--utt2fold", toy / "utt2fold", "--fold", 1)
    assert "BatchNorm needs at least two" in train("exp", "--epochs", 1, "--augment", "none", *folds, code=1).err


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
