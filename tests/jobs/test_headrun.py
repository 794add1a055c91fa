"""The run of a head: what is trained again, resumed, cleaned up."""

import os
import signal
import time

import torch
from killing import running, start, wait
from support import contents
from trainings import StopAfter

from sertk.atomic import only_process_in
from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model


def test_head_of_other_settings_or_data_is_trained_again(tmp_path, head_words, call):
    call(*head_words("exp"))
    err = call(*head_words("exp", "--learning-rate", 0.02, "--folds", 2)).err
    assert err.count("trained again: learning_rate=0.01, now it is 0.02") == 2
    assert load_model(tmp_path / "exp/exp3/2/final.pt").card["settings"]["learning_rate"] == 0.02
    labels = read_list(tmp_path / "utt2label")
    write_list(tmp_path / "utt2label", labels | {next(iter(labels)): "neu"})
    err = call(*head_words("exp", "--folds", 1)).err
    assert "exp3/1/final.pt: trained again: data.labels=" in err and "exp1/1/final.pt: finished" in err
    (tmp_path / "exp/exp1/1/final.pt").write_bytes(b"cut")
    assert "not a model file, or cut short" in call(*head_words("exp", "--folds", 1)).err


def test_finished_head_leaves_no_state(tmp_path, head_words, call):
    """A kill between the finished model and the end leaves the state; one while it was replaced, a link beside it."""
    call(*head_words("exp"))
    before = contents(tmp_path / "exp")
    for name in ("state.pt", "state.pt.sertk-old", "state.pt.tmp"):
        (tmp_path / "exp/exp1/1" / name).write_bytes(b"left")
    call(*head_words("exp"))
    assert contents(tmp_path / "exp") == before


def test_state_of_other_settings_is_not_resumed(tmp_path, head_words):
    child = start(*head_words("exp", "--seed", 1))
    while not (tmp_path / "exp/exp3/2/state.pt").exists():
        assert running(child)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    wait(child)
    assert wait(start(*head_words("exp"), log=tmp_path / "log")) == 0
    assert "this run was started with seed=1, now it is 0" in (tmp_path / "log").read_text()
    assert wait(start(*head_words("straight"))) == 0
    assert contents(tmp_path / "exp") == contents(tmp_path / "straight")


def test_heads_resume_with_other_threads_and_warn(tmp_path, head_words, call, monkeypatch):
    def words(*options):
        return head_words("exp", "--batch-size", 16, *options, sets=["exp3"])

    monkeypatch.setattr("sertk.cli.transfer_head.catch_signals", lambda: StopAfter(9))  # in the second epoch
    call(*words(), code=75)
    monkeypatch.undo()
    # Not two threads in truth, on which so small a head takes five times as long.
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    err = call(*words("--num-threads", 2)).err
    assert err.count("started with threads=1, now it is 2: the last bits will differ") == 2
    assert err.count("resuming after epoch 1") == 2 and "again" not in err


def test_two_calls_cannot_write_one_head(tmp_path, head_words, call):
    (tmp_path / "exp/exp3/2").mkdir(parents=True)
    with only_process_in(tmp_path / "exp/exp3/2"):
        assert "exp3/2: another process is writing in it" in call(*head_words("exp"), code=1).err
        call(*head_words("exp", "--folds", 1))
