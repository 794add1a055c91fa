"""Heartbeats: processes that leave, that hang, and a store that is gone."""

import os
import signal
import time

import pytest
from ranks import Ranks, free_port
from support import wait_for
from torch import distributed
from trainings import train_words

from sertk.training import heartbeat
from sertk.training.heartbeat import Heartbeat


@pytest.fixture
def ends(monkeypatch):
    """Short times, and codes of the processes that would have ended."""
    codes = []
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.05)
    monkeypatch.setattr(heartbeat, "SILENCE", 1.0)
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


@pytest.fixture
def stores():
    port = free_port()
    server = distributed.TCPStore("127.0.0.1", port, is_master=True)
    return [server] + [distributed.TCPStore("127.0.0.1", port) for _ in range(2)]


def test_processes_that_beat_or_have_left_are_not_dead(ends, stores):
    beats = [Heartbeat(store, rank, 2) for rank, store in enumerate(stores[:2])]
    time.sleep(1.5)
    beats[1].stop(leaving=True)
    time.sleep(1.5)
    assert ends == [] and beats[0].counts[1] > heartbeat.LEFT
    beats[0].stop(leaving=True)


def test_a_process_that_ends_without_leaving_is_noticed(ends, stores, caplog):
    beats = [Heartbeat(store, rank, 3) for rank, store in enumerate(stores)]
    beats[2].stop(leaving=True)
    beats[1].stop()
    wait_for(lambda: ends, seconds=20)
    beats[0].stop()
    assert set(ends) == {1}
    assert "process 0 of 3 ends: no sign of life from process 1 for 1 s" in caplog.text


def test_a_process_that_hangs_ends_the_others(toy, monkeypatch):
    """A stopped process keeps its connections, so that no collective fails: as on a machine that hangs, or with NCCL."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.2)
    monkeypatch.setattr(heartbeat, "SILENCE", 4.0)
    ranks = Ranks(toy, 2, train_words(toy, "exp", "--epochs", 500))
    wait_for((toy / "exp/train.jsonl").exists)
    ranks.kill(1, signal.SIGSTOP)
    wait_for(lambda: not ranks.alive(), seconds=60)
    ranks.kill(1, signal.SIGKILL)
    assert ranks.codes(timeout=20) == [1, -signal.SIGKILL]
    assert ranks.errors()[0].splitlines()[-1] == (
        "train-resnet: ERROR: process 0 of 2 ends: no sign of life from process 1 for 4 s"
    )
