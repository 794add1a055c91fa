"""embed-segments --draws: killed, stopped, resumed."""

import os
import signal
import time

import pytest
import torch
from killing import kill_at_random, start, wait
from toydata import write_toy_data
from trainings import StopAfter

from sertk import runtime
from sertk.cli import embed_segments
from sertk.kaldi.tables import read_manifest, verify_table
from sertk.models.modelfile import Model, save_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.progress import never


@pytest.fixture
def words(tmp_path):
    """words("name") -> the call that writes name.ark and name.scp."""
    write_toy_data(tmp_path)
    torch.manual_seed(0)
    spec = NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)
    save_model(tmp_path / "model.pt", Model(ResNet(spec).eval(), list("abcd")))
    torch.set_num_threads(1)

    def call(name, *options):
        table = f"ark,scp:{tmp_path}/{name}.ark,{tmp_path}/{name}.scp"
        fixed = ("--draws", 20, "--chunk-frames", "24,32", "--num-threads", 1)
        return ("embed-segments", *fixed, *options, tmp_path / "model.pt", f"scp:{tmp_path}/feats.scp", table)

    return call


def table(folder, name):
    """The table's bytes, without its name in the script and the manifest."""
    script = (folder / f"{name}.scp").read_text().replace(f"{name}.ark", "x.ark")
    lines = (folder / f"{name}.manifest").read_text().splitlines()
    return (folder / f"{name}.ark").read_bytes(), script, [line for line in lines if '"script' not in line]


def wait_for(path, child):
    while not path.exists():
        assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        time.sleep(0.002)


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_pass_equals_an_uninterrupted_one(tmp_path, words, kills):
    start_time = time.monotonic()
    assert wait(start(*words("straight"))) == 0
    seconds = time.monotonic() - start_time

    def nothing_is_half_published():
        assert not (tmp_path / "killed.scp").exists() or verify_table(f"scp:{tmp_path}/killed.scp")

    # Each run is killed before it could end, so that the next one must go on with what it left.
    kill_at_random(kills, 0.7 * seconds, *words("killed"), between=nothing_is_half_published)
    assert table(tmp_path, "killed") == table(tmp_path, "straight")
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.progress*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_pass_stops_at_a_signal_and_resumes(tmp_path, words, number):
    assert wait(start(*words("straight"))) == 0
    child = start(*words("stopped"), log=tmp_path / "log")
    wait_for(tmp_path / "stopped.ark.progress", child)
    os.kill(child, number)
    assert wait(child) == 75
    assert not (tmp_path / "stopped.ark").exists()
    assert wait(start(*words("stopped"), log=tmp_path / "log")) == 0
    log = (tmp_path / "log").read_text()
    assert "rerun the same command" in log and "resuming after segment" in log and "Traceback" not in log
    assert "Done 40, skipped 0" in log and "40 segments, 60 draws of 64 numbers each: 0.000307 GB in ark,scp:" in log
    assert table(tmp_path, "stopped") == table(tmp_path, "straight")


def test_partial_table_of_other_settings_is_not_resumed(tmp_path, words):
    child = start(*words("x", "--seed", 1))
    wait_for(tmp_path / "x.ark.progress", child)
    os.kill(child, signal.SIGKILL)
    wait(child)
    assert wait(start(*words("x"), log=tmp_path / "log")) == 0
    assert "was begun with seed=1, now it is 0: starting again" in (tmp_path / "log").read_text()
    assert wait(start(*words("straight"))) == 0
    assert table(tmp_path, "x") == table(tmp_path, "straight")


def test_resume_on_another_processor_keeps_precision(tmp_path, words, call, monkeypatch):
    def draws(*options, built_for_bf16, stop=never, code=0):
        monkeypatch.setattr(runtime, "computes_bf16", lambda device: built_for_bf16)
        monkeypatch.setattr(embed_segments, "catch_signals", lambda: stop)
        binary, *rest = words("x", *options)
        return call(binary, *rest, code=code).err

    def made(name="x"):
        return read_manifest(f"scp:{tmp_path}/{name}.scp").settings["precision"]

    binary, *rest = words("straight", "--precision", "bf16")
    call(binary, *rest)
    draws(built_for_bf16=True, stop=StopAfter(100), code=75)
    err = draws(built_for_bf16=False)
    assert "resuming after segment" in err and err.count("WARNING") == err.count("bf16 is emulated") == 1
    assert made() == "bf16" and table(tmp_path, "x") == table(tmp_path, "straight")
    # What is begun anew since something else differs is of this processor's own.
    draws(built_for_bf16=True, stop=StopAfter(100), code=75)
    assert "begun with precision=bf16, now it is float32" in draws("--seed", 1, built_for_bf16=False)
    assert made() == "float32"
