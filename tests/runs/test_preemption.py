"""TERM and USR1: checkpoint, and exit with 75."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from ranks import Ranks
from support import ROOT, wait_for
from trainings import train_words

from sertk.runs.preemption import StopRequest


def start(toy, name, *options):
    line = [str(word) for word in [ROOT / "bin/train-resnet", *train_words(toy, name, *options)]]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_makes_a_run_checkpoint_and_exit_with_75(toy, number):
    run = Ranks(toy, 1, train_words(toy, "stopped", "--epochs", 60, "--copies", 8))
    wait_for((toy / "stopped/train.jsonl").exists)
    run.kill(0, number)
    assert run.codes() == [75]
    err = run.errors()[0]
    assert "run the same command again" in err and "Traceback" not in err
    assert 1 <= len(torch.load(toy / "stopped/state.pt", weights_only=True)["history"]) < 60


def test_signal_before_torch_is_imported_is_noticed(toy):
    process = start(toy, "early", "--epochs", 40, "--copies", 8)
    proc = Path(f"/proc/{process.pid}")
    caught = re.compile(r"SigCgt:\s+(\w+)")
    wait_for(lambda: int(caught.search((proc / "status").read_text())[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    process.send_signal(signal.SIGSTOP)
    assert "libtorch" not in (proc / "maps").read_text()
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stop_request_is_true_after_a_signal(number):
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        stop_requested = StopRequest()
        assert not stop_requested()
        signal.raise_signal(number)
        assert stop_requested()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
