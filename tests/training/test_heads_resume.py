"""transfer-head on several label sets, killed, asked to stop, and called again."""

import os
import signal
import time

import pytest
import torch
from killing import kill_at_random, running, start, wait
from toydata import write_toy_data

from sertk import runtime
from sertk.atomic import only_process_in
from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.resnet import NetworkSpec, ResNet

EPOCHS = 4


@pytest.fixture
def words(tmp_path, call):
    """words("name", …) -> the call that trains name/exp1 (three labels, 30 segments) and name/exp3 (all four)."""
    write_toy_data(tmp_path)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=64)
    save_model(tmp_path / "model.pt", Model(ResNet(spec).eval(), list("abcd")))
    table = f"ark,scp:{tmp_path}/draws.ark,{tmp_path}/draws.scp"
    chunks = ("--draws", EPOCHS, "--chunk-frames", "24,32", "--num-threads", 1)
    call("embed-segments", *chunks, tmp_path / "model.pt", f"scp:{tmp_path}/feats.scp", table)
    labels = read_list(tmp_path / "utt2label")
    write_list(tmp_path / "utt2label1", {key: label for key, label in labels.items() if label != "hap"})

    def words(name, *options, sets=("exp1", "exp3")):
        lists = {"exp1": "utt2label1", "exp3": "utt2label"}
        threes = [(tmp_path / lists[one], tmp_path / "utt2fold", tmp_path / name / one) for one in sets]
        fixed = ("--epochs", EPOCHS, "--batch-size", 4, "--num-threads", 1)
        sources = (tmp_path / "model.pt", f"scp:{tmp_path}/draws.scp")
        return ("transfer-head", *fixed, *options, *sources, *(word for three in threes for word in three))

    return words


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_label_sets_together_are_label_sets_alone(tmp_path, words, call):
    call(*words("together"))
    for one in ("exp1", "exp3"):
        call(*words("alone", sets=[one]))
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert set(contents(tmp_path / "together")) == {
        f"{one}/{fold}/{name}" for one in ("exp1", "exp3") for fold in "12"
        for name in ("final.pt", "train.conf", "train.jsonl")
    }  # fmt: skip
    assert load_model(tmp_path / "together/exp1/2/final.pt").labels == ["ang", "neu", "sad"]


def test_heads_that_are_finished_are_kept_and_others_trained(tmp_path, words, call, monkeypatch):
    call(*words("exp", "--folds", 1))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "exp").rglob("final.pt")}
    monkeypatch.setattr(runtime, "computes_bf16", lambda device: True)  # on another processor, as it happens
    err = call(*words("exp")).err
    assert err.count("finished with these settings and data, skipped") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    call(*words("once"))
    assert contents(tmp_path / "exp") == contents(tmp_path / "once")


def test_a_head_of_other_settings_or_data_is_trained_anew(tmp_path, words, call):
    call(*words("exp"))
    err = call(*words("exp", "--learning-rate", 0.02, "--folds", 2)).err
    assert err.count("trained again: learning_rate=0.01, now it is 0.02") == 2
    assert load_model(tmp_path / "exp/exp3/2/final.pt").card["settings"]["learning_rate"] == 0.02
    labels = read_list(tmp_path / "utt2label")
    write_list(tmp_path / "utt2label", labels | {next(iter(labels)): "neu"})
    err = call(*words("exp", "--folds", 1)).err
    assert "exp3/1/final.pt: trained again: data.labels=" in err and "exp1/1/final.pt: finished" in err
    (tmp_path / "exp/exp1/1/final.pt").write_bytes(b"cut")
    assert "not a model file, or cut short" in call(*words("exp", "--folds", 1)).err


def test_a_head_whose_loss_is_no_number_is_named(tmp_path, words, call):
    err = call(*words("exp", "--learning-rate", 1e30), code=1).err
    assert f"ERROR: {tmp_path}/exp/exp1/1: epoch " in err and "the loss is" in err


def test_nothing_is_left_of_a_state_once_its_head_is_finished(tmp_path, words, call):
    """A kill between the finished model and the end leaves the state; one while it was replaced, a link beside it."""
    call(*words("exp"))
    before = contents(tmp_path / "exp")
    for name in ("state.pt", "state.pt.sertk-old", "state.pt.tmp"):
        (tmp_path / "exp/exp1/1" / name).write_bytes(b"left")
    call(*words("exp"))
    assert contents(tmp_path / "exp") == before


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_heads_that_were_killed_end_with_the_bytes_of_those_that_were_not(tmp_path, words, kills):
    begun = time.monotonic()
    assert wait(start(*words("straight"))) == 0
    taken = time.monotonic() - begun
    hits, rounds = 0, 0
    while hits < kills:  # a run gets to its end after some kills: then another one
        some = min(5, kills - hits)
        kill_at_random(some, 0.7 * taken, *words(f"killed{rounds}"))
        assert contents(tmp_path / f"killed{rounds}") == contents(tmp_path / "straight")
        hits, rounds = hits + some, rounds + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_heads_that_are_asked_to_stop_say_run_me_again_and_go_on(tmp_path, words, number):
    assert wait(start(*words("straight"))) == 0
    child = start(*words("stopped"), log=tmp_path / "log")
    while not (tmp_path / "stopped/exp3/2/state.pt").exists():
        assert running(child)
        time.sleep(0.002)
    os.kill(child, number)
    assert wait(child) == 75
    assert wait(start(*words("stopped"), log=tmp_path / "log")) == 0
    log = (tmp_path / "log").read_text()
    assert "run the same command again" in log and "resuming after epoch" in log and "Traceback" not in log
    assert "draws of 0.000123 GB in 32 bits, 3.07e-05 GB an epoch: held in memory" in log
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


def test_a_state_of_other_settings_is_begun_anew(tmp_path, words):
    child = start(*words("exp", "--seed", 1))
    while not (tmp_path / "exp/exp3/2/state.pt").exists():
        assert running(child)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    wait(child)
    assert wait(start(*words("exp"), log=tmp_path / "log")) == 0
    assert "this run was started with seed=1, now it is 0" in (tmp_path / "log").read_text()
    assert wait(start(*words("straight"))) == 0
    assert contents(tmp_path / "exp") == contents(tmp_path / "straight")


class After:
    """A request to stop that comes when it was looked for so many times."""

    def __init__(self, looks):
        self.looks = looks

    def __call__(self):
        self.looks -= 1
        return self.looks < 0


def test_heads_go_on_with_other_threads_and_say_so(tmp_path, words, call, monkeypatch):
    monkeypatch.setattr("sertk.cli.transfer_head.catch_signals", lambda: After(60))  # in the second epoch
    call(*words("exp"), code=75)
    monkeypatch.undo()
    err = call(*words("exp", "--num-threads", 2)).err
    assert err.count("started with threads=1, now it is 2: the last bits will differ") == 4
    assert err.count("resuming after epoch 1") == 4 and "again" not in err
    torch.set_num_threads(1)


def test_two_calls_do_not_write_one_head(tmp_path, words, call):
    (tmp_path / "exp/exp3/2").mkdir(parents=True)
    with only_process_in(tmp_path / "exp/exp3/2"):
        assert "exp3/2: another process is writing in it" in call(*words("exp"), code=1).err
        call(*words("exp", "--folds", 1))


def test_folders_that_are_one_and_folds_named_twice_are_misuse(tmp_path, words, call):
    line = words("exp", sets=["exp1"])
    twice = [*line[-3:-1], tmp_path / "exp/../exp/exp1"]
    assert "each label set has a DIR of its own" in call(*line, *twice, code=2).err
    for folds in ("", "1,1", "1,,2"):
        assert "each once" in call(*words("exp", "--folds", folds), code=2).err


def test_a_head_with_nan_weights_is_not_saved(tmp_path, words, call):
    err = call(*words("exp", "--epochs", 1, "--batch-size", 1000, "--learning-rate", 1e308), code=1).err
    assert "epoch 1: weights are NaN or infinite" in err and not list((tmp_path / "exp").rglob("*.pt"))


def test_vectors_of_whole_segments_may_come_through_a_pipe(tmp_path, words, call):
    call(
        "embed-segments",
        "--at",
        "pool",
        tmp_path / "model.pt",
        f"scp:{tmp_path}/feats.scp",
        f"ark:{tmp_path}/whole.ark",
    )
    call(*words("file", "--select", "oracle", "--eval-vectors", f"ark:{tmp_path}/whole.ark"))
    call(*words("pipe", "--select", "oracle", "--eval-vectors", f"ark:cat {tmp_path}/whole.ark |"))
    one, other = (load_model(tmp_path / name / "exp3/2/final.pt").network.state_dict() for name in ("file", "pipe"))
    assert all(torch.equal(one[name], other[name]) for name in one)
