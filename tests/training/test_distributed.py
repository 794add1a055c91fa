"""Several processes that train as one."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ranks import Ranks
from support import ROOT, wait_for
from torch import distributed
from trainings import train_words, weights

from sertk import runtime
from sertk.data.loader import chunks_of
from sertk.data.sampler import Batch
from sertk.data.store import load_store
from sertk.datadir.lists import read_list, write_list
from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.models.modelfile import load_model
from sertk.training.distributed import World, chosen_gpus, first_host, slurm_variables, torchrun_variables
from sertk.training.settings import TrainingSettings

# Masks that leave something of 16 bins: in a chunk of zeros whole maps are one number, and where PReLU has its kink at
# just that number, rounding decides on which side they all are.
STEPS = ("--epochs", 2, "--augment", "none,3:9:0.2:2:2,5:9:0.2:2:2")


def test_finished_run_is_left_unchanged_by_several_processes(toy, train):
    options = (*STEPS, "--sync-batchnorm", "true")
    for _ in range(2):
        Ranks(toy, 2, train_words(toy, "exp", *options)).ended_well()
        before = (toy / "exp/final.pt").read_bytes()
    assert "finished with these settings and data, skipped" in train("exp", *options).err
    assert (toy / "exp/final.pt").read_bytes() == before


def test_processes_with_a_margin_equal_one(toy, train):
    """Up to rounding, which the scale of the cosines multiplies."""
    margins = ("--loss", "aam", "--margin-to", 2, "--inter-topk", 2, "--subcentres", 2, "--schedule", "exponential",
               "--nesterov", "true")  # fmt: skip
    train("one", *STEPS, *margins)
    Ranks(toy, 2, train_words(toy, "two", *STEPS, *margins, "--sync-batchnorm", "true")).ended_well()
    two = weights(toy / "two/final.pt")
    for name, tensor in weights(toy / "one/final.pt").items():
        torch.testing.assert_close(two[name], tensor, atol=2e-4, rtol=0)


def test_shares_are_the_chunks_of_one_process(toy):
    store = load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    settings = TrainingSettings(chunk_frames=(24, 32), batch_size=10)
    rule = settings.chunk_rule()
    for batch in settings.sampler(len(store)).batches(3):
        whole = chunks_of(store, rule, batch, 3)
        for rank in range(4):
            share = Batch(batch.number, batch.frames, World(rank, 4).share(batch.items))
            assert torch.equal(chunks_of(store, rule, share, 3), whole[rank::4])


def test_processes_on_different_machines_agree_on_precision(toy, monkeypatch):
    monkeypatch.setattr(runtime, "computes_bf16", lambda device: os.environ["SLURM_PROCID"] == "0")
    for wanted, agreed in (("auto", "float32"), ("bf16", "bf16")):
        Ranks(toy, 2, train_words(toy, wanted, "--epochs", 1, "--precision", wanted)).ended_well()
        assert load_model(toy / wanted / "final.pt").card["settings"]["precision"] == agreed


def test_batch_too_small_to_be_shared_is_refused(toy):
    few = ("--epochs", 1, "--augment", "none", "--global-batch", 2)
    ranks = Ranks(toy, 2, train_words(toy, "exp", *few))
    assert ranks.codes() == [1, 1]
    assert (
        "--global-batch 2: a batch of 2 chunks shared by 2 processes leaves one of them less than 2"
        in ranks.errors()[0]
    )
    Ranks(toy, 2, train_words(toy, "exp", *few, "--sync-batchnorm", "true")).ended_well()


def test_killed_process_ends_the_others_and_the_run_resumes(toy):
    options = ("--epochs", 3, "--copies", 2, "--checkpoint-every", 0)
    Ranks(toy, 2, train_words(toy, "straight", *options)).ended_well()
    state = toy / "killed/state.pt"
    for victim in (1, 0):
        before = state.stat().st_mtime_ns if state.exists() else 0
        ranks = Ranks(toy, 2, train_words(toy, "killed", *options))
        wait_for(lambda before=before: state.exists() and state.stat().st_mtime_ns > before)
        ranks.kill(victim)
        codes = ranks.codes(timeout=10)
        assert (codes[victim], codes[1 - victim]) == (-signal.SIGKILL, 1)
        line = ranks.errors()[1 - victim].splitlines()[-1]
        assert line.startswith(f"train-resnet: ERROR: process {1 - victim} of 2: another process has died: ")
    Ranks(toy, 2, train_words(toy, "killed", *options)).ended_well()
    assert (toy / "killed/final.pt").read_bytes() == (toy / "straight/final.pt").read_bytes()


@pytest.mark.parametrize(("victim", "number"), [(0, signal.SIGUSR1), (1, signal.SIGTERM)])
def test_signal_to_one_process_stops_all_at_the_same_batch(toy, victim, number):
    options = ("--epochs", 60, "--copies", 4)
    ranks = Ranks(toy, 2, train_words(toy, "exp", *options))
    wait_for((toy / "exp/train.jsonl").exists)
    ranks.kill(victim, number)
    assert ranks.codes(timeout=20) == [75, 75]
    told, silent = ranks.errors()
    epoch, batch = map(int, re.search(r"asked to stop: epoch (\d+), after batch (\d+) of 15", told).groups())
    content = torch.load(toy / "exp/state.pt", weights_only=True)
    assert (len(content["history"]) + 1, content["batch"]) == (epoch, batch) and silent == ""


def test_infinite_loss_is_reported_by_one_and_ends_all(toy):
    ranks = Ranks(toy, 2, train_words(toy, "exp", "--epochs", 3, "--learning-rate", 1e30, "--sync-batchnorm", "true"))
    assert ranks.codes() == [1, 1]
    told, silent = ranks.errors()
    assert re.search(r"ERROR: epoch \d, batch \d: the loss is (nan|inf).*: spk\d-utt\d+ spk", told)
    assert silent == "train-resnet: ERROR: process 1 stopped: the error is reported by process 0\n"


def test_one_process_writes_and_logs(toy):
    ranks = Ranks(toy, 2, train_words(toy, "exp", "--epochs", 1))
    ranks.ended_well()
    told, silent = ranks.errors()
    assert "epoch 1 of 1: loss" in told and "wrote" in told and silent == ""


def test_another_number_of_processes_needs_sync_batchnorm(toy, train):
    train("own", "--epochs", 1)
    ranks = Ranks(toy, 2, train_words(toy, "own", "--epochs", 2))
    assert ranks.codes() == [1, 1] and "started with processes=1, now it is 2" in ranks.errors()[0]
    train("synced", "--epochs", 1, "--sync-batchnorm", "true")
    ranks = Ranks(toy, 2, train_words(toy, "synced", "--epochs", 2, "--sync-batchnorm", "true"))
    ranks.ended_well()
    assert (
        "WARNING" in ranks.errors()[0] and "started with processes=1, now it is 2: the last bits" in ranks.errors()[0]
    )


def test_the_gpus_of_all_processes_are_known_to_each():
    store = distributed.HashStore()
    store.set("gpu of 1", "node1 GPU-a")
    assert chosen_gpus(store, World(0, 2), "node1 GPU-b") == ["node1 GPU-b", "node1 GPU-a"]


TASK = {"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "2", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5",
        "SLURM_LOCALID": "1", "SLURM_NTASKS": "8", "SLURM_JOB_NODELIST": "gpu[03-04]"}  # fmt: skip


def test_srun_variables_are_read():
    assert slurm_variables(TASK) == {
        "WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1", "MASTER_ADDR": "gpu03", "MASTER_PORT": str(15000 + 4711 + 202),
    }  # fmt: skip
    own = slurm_variables(TASK | {"MASTER_ADDR": "head", "MASTER_PORT": "9", "SLURM_STEP_NODELIST": "gpu04"})
    assert (own["MASTER_ADDR"], own["MASTER_PORT"]) == ("head", "9")
    assert slurm_variables(TASK | {"SLURM_STEP_NODELIST": "gpu04"})["MASTER_ADDR"] == "gpu04"


def test_batch_script_is_one_process():
    script = {name: value for name, value in TASK.items() if "STEP" not in name}
    assert slurm_variables(script) is None and slurm_variables(TASK | {"SLURM_STEP_NUM_TASKS": "1"}) is None


@pytest.mark.parametrize(
    ("hosts", "first"),
    [("node7", "node7"), ("tux[3,5-7],fox", "tux3"), ("a[001-128]b", "a001b"), ("fox,tux[1-2]", "fox"),
     ("rack[10-11,13]n[2,4]", "rack10n2")],
)  # fmt: skip
def test_first_host_is_that_of_scontrol(hosts, first):
    assert first_host(hosts) == first


def test_incomplete_torchrun_variables_are_refused():
    with pytest.raises(SertkError, match="WORLD_SIZE is 4 but LOCAL_RANK is not set"):
        torchrun_variables({"WORLD_SIZE": "4", "RANK": "0"})
    assert torchrun_variables({"WORLD_SIZE": "1"}) == {"WORLD_SIZE": "1"} and torchrun_variables({}) is None


TORCHRUN = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "head", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is 'x', must be an integer"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0', must be an integer from 1"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is '', must be"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is '9+', must be"),
        ({"RANK": "4"}, "RANK is '4', must be an integer from 0 to 3"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK is '-1', must be"),
        ({"MASTER_PORT": "abc"}, "MASTER_PORT is 'abc', must be an integer from 1 to 65535"),
        ({"MASTER_PORT": "65536"}, "MASTER_PORT is '65536', must be"),
    ],
)
def test_invalid_torchrun_variable_is_named(wrong, said):
    assert torchrun_variables(TORCHRUN) == TORCHRUN
    with pytest.raises(SertkError, match=f"^{said}"):
        torchrun_variables(TORCHRUN | wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"SLURM_STEP_NUM_TASKS": "x"}, "SLURM_STEP_NUM_TASKS is 'x', must be an integer from 1"),
        ({"SLURM_PROCID": "8"}, "SLURM_PROCID is '8', must be an integer from 0 to 7"),
        ({"SLURM_LOCALID": "x"}, "SLURM_LOCALID is 'x', must be"),
        ({"SLURM_JOB_ID": "x"}, "SLURM_JOB_ID is 'x', must be"),
        ({"SLURM_STEP_ID": "batch"}, "SLURM_STEP_ID is 'batch', must be"),
        ({"MASTER_PORT": "abc"}, "MASTER_PORT is 'abc', must be an integer from 1 to 65535"),
    ],
)
def test_invalid_srun_variable_is_named(wrong, said):
    with pytest.raises(SertkError, match=f"^{said}"):
        slurm_variables(TASK | wrong)


@pytest.mark.parametrize("lost", ["SLURM_JOB_NODELIST", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_JOB_ID"])
def test_incomplete_srun_variables_are_refused(lost):
    half = {name: value for name, value in TASK.items() if name != lost}
    with pytest.raises(SertkError, match=f"SLURM_STEP_NUM_TASKS is 8 but {lost} is not set"):
        slurm_variables(half)


def test_master_addr_replaces_the_host_list():
    rest = {name: value for name, value in TASK.items() if name != "SLURM_JOB_NODELIST"}
    assert slurm_variables(rest | {"MASTER_ADDR": "head"})["MASTER_ADDR"] == "head"


def test_invalid_variable_is_one_line(toy, train, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "x")
    err = train("exp", "--epochs", 1, code=1).err
    assert err.startswith("train-resnet: ERROR: WORLD_SIZE is 'x', must be") and len(err.splitlines()) == 1


def torchrun(toy, name, *options, size=2, restarts=0):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", size,
              "--max-restarts", restarts, "--no-python", ROOT / "bin/train-resnet"]  # fmt: skip
    line = [str(word) for word in [*launch, *train_words(toy, name, *options)]]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.mark.slow
def test_four_processes_under_torchrun_equal_one(toy, train):
    train("one", *STEPS)
    agent = torchrun(toy, "four", *STEPS, "--sync-batchnorm", "true", size=4)
    _, err = agent.communicate(timeout=300)
    assert agent.returncode == 0, err
    four = weights(toy / "four/final.pt")
    for name, tensor in weights(toy / "one/final.pt").items():
        torch.testing.assert_close(four[name], tensor, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_torchrun_restarts_a_killed_process_to_the_same_bytes(toy):
    options = ("--epochs", 3, "--copies", 8, "--checkpoint-every", 0, "--sync-batchnorm", "true")
    Ranks(toy, 2, train_words(toy, "straight", *options)).ended_well()
    agent = torchrun(toy, "elastic", *options, restarts=5)
    state, rng = toy / "elastic/state.pt", np.random.default_rng(0)
    for _ in range(3):
        before = state.stat().st_mtime_ns if state.exists() else 0
        wait_for(lambda before=before: state.exists() and state.stat().st_mtime_ns > before)
        children = subprocess.run(["pgrep", "-P", str(agent.pid)], capture_output=True, text=True).stdout.split()
        assert len(children) == 2
        os.kill(int(children[rng.integers(2)]), signal.SIGKILL)
        wait_for(lambda old=children: not any(Path(f"/proc/{pid}").exists() for pid in old))
    _, err = agent.communicate(timeout=600)
    assert agent.returncode == 0, err
    assert (toy / "elastic/final.pt").read_bytes() == (toy / "straight/final.pt").read_bytes()


def test_labels_without_features_are_reported_once(toy):
    """Warnings are process 0's alone; both train on what is left."""
    write_list(toy / "utt2label", read_list(toy / "utt2label") | {"spk9-utt999": "ang"})
    ranks = Ranks(toy, 2, train_words(toy, "exp", "--epochs", 1))
    ranks.ended_well()
    assert "skipped spk9-utt999" in ranks.errors()[0] and ranks.errors()[1] == ""
