"""embed-segments --draws: killed, stopped, resumed."""

import os
import shutil
import signal
import time

import pytest
import torch
from killing import kill_at_random, start, wait
from toydata import write_toy_data
from trainings import StopAfter

from sertk import runtime
from sertk.cli import embed_segments
from sertk.jobs import draws as draws_module
from sertk.kaldi.tables import read_manifest, read_table, table_writer, verify_table
from sertk.models.modelfile import Model, load_model, save_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.progress import never

KEPT = "finished with this model, these features and settings, kept"


@pytest.fixture
def words(tmp_path):
    """words("name") -> the call that writes name.ark and name.scp; its 20 draws take long enough to be stopped."""
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
    lines = [line for line in lines if '"script' not in line and '"table' not in line]
    return (folder / f"{name}.ark").read_bytes(), script, lines


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
        binary, *rest = words("x", "--draws", 4, *options)
        return call(binary, *rest, code=code).err

    def made(name="x"):
        return read_manifest(f"scp:{tmp_path}/{name}.scp").settings["precision"]

    binary, *rest = words("straight", "--draws", 4, "--precision", "bf16")
    call(binary, *rest)
    draws(built_for_bf16=True, stop=StopAfter(20), code=75)
    err = draws(built_for_bf16=False)
    assert "resuming after segment" in err and err.count("WARNING") == err.count("bf16 is emulated") == 1
    assert made() == "bf16" and table(tmp_path, "x") == table(tmp_path, "straight")
    # What is begun anew since something else differs is of this processor's own.
    draws("--seed", 2, built_for_bf16=True, stop=StopAfter(20), code=75)
    assert "begun with precision=bf16, now it is float32" in draws("--seed", 1, built_for_bf16=False)
    assert made() == "float32"


def test_finished_draws_are_kept_until_what_they_are_of_changes(tmp_path, words, call, monkeypatch):
    """Other threads are the same draws; a table with a changed byte, or of a call that was killed, is not finished."""

    def draws(*options, name="x"):
        binary, *rest = words(name, "--draws", 2, *options)
        return call(binary, *rest).err

    def again(reason, *options):
        err = draws(*options)
        assert f"x.scp: computed again: finished with {reason}" in err and "Done 40, skipped 0" in err
        return table(tmp_path, "x")

    def changed(path, before, after):
        path.write_bytes(path.read_bytes().replace(before, after, 1))

    assert KEPT not in draws()
    first, written = table(tmp_path, "x"), (tmp_path / "x.ark").stat().st_ino
    for options in ((), ("--num-threads", 2)):
        assert KEPT in draws(*options)
    assert (tmp_path / "x.ark").stat().st_ino == written
    # Each input in turn.
    assert again("seed=0, now it is 1", "--seed", 1)[0] != first[0]
    assert again("seed=1, now it is 0") == first
    again("draws=2, now it is 3", "--draws", 3)
    again("compress=cm2, now it is none", "--draws", 3, "--compress", "none")
    draws()
    monkeypatch.setattr(draws_module, "machine_fingerprint", lambda device, threads: {"code": "other"})
    again("code=")
    monkeypatch.undo()
    draws()
    model = load_model(tmp_path / "model.pt")
    with torch.no_grad():
        model.network.trunk.stem.weight += 0.1
    save_model(tmp_path / "model.pt", model)
    assert again("model=")[0] != first[0]
    feats = dict(read_table(f"scp:{tmp_path}/feats.scp"))
    with table_writer(f"ark,scp:{tmp_path}/feats.ark,{tmp_path}/feats.scp") as write:
        for key, matrix in feats.items():
            write(key, 2 * matrix)
    again("data.features=")
    # The table itself: its archive, its script, and its manifest.
    second = table(tmp_path, "x")
    data = (tmp_path / "x.ark").read_bytes()
    for damage in (
        lambda: (tmp_path / "x.ark").write_bytes(data[:-1] + bytes([data[-1] ^ 1])),
        lambda: (tmp_path / "x.ark").write_bytes(data[: len(data) // 2]),
        lambda: (tmp_path / "x.ark").unlink(),
        lambda: changed(tmp_path / "x.scp", b".ark:", b".ark:1"),
        lambda: (tmp_path / "x.scp").unlink(),
        lambda: (tmp_path / "x.manifest").unlink(),
        lambda: (tmp_path / "x.manifest").write_text("{"),
    ):
        damage()
        assert KEPT not in draws() and table(tmp_path, "x") == second
    assert KEPT in draws()
    # A copy of the table under another name has a script that names the first one's archive.
    for end in ("ark", "scp", "manifest"):
        shutil.copy(tmp_path / f"x.{end}", tmp_path / f"copy.{end}")
    assert KEPT not in draws(name="copy") and "/copy.ark:" in (tmp_path / "copy.scp").read_text()


def test_finished_draws_of_another_processor_are_kept(tmp_path, words, call, monkeypatch):
    """In the precision that they have, unless another one is asked for."""
    binary, *rest = words("x", "--draws", 2)
    monkeypatch.setattr(runtime, "computes_bf16", lambda device: True)
    assert KEPT not in call(binary, *rest).err
    monkeypatch.setattr(runtime, "computes_bf16", lambda device: False)
    assert KEPT in call(binary, *rest).err
    binary, *rest = words("x", "--draws", 2, "--precision", "float32")
    assert "computed again: finished with precision=bf16, now it is float32" in call(binary, *rest).err


def test_killed_pass_over_finished_draws_is_not_finished(tmp_path, words):
    """The old draws stay until the new ones are there; then they, and not the partial ones, are current."""
    assert wait(start(*words("straight", "--seed", 1))) == 0
    assert wait(start(*words("x"))) == 0
    before = table(tmp_path, "x")
    child = start(*words("x", "--seed", 1))
    wait_for(tmp_path / "x.ark.progress", child)
    os.kill(child, signal.SIGKILL)
    wait(child)
    assert table(tmp_path, "x") == before
    assert wait(start(*words("x", "--seed", 1), log=tmp_path / "log")) == 0
    assert "resuming after segment" in (tmp_path / "log").read_text()
    assert table(tmp_path, "x") == table(tmp_path, "straight")
