"""run-local: what it does beyond Kaldi's contract (test_common_runners.py has that)."""

import os
import runpy
import signal
import subprocess
from pathlib import Path

import pytest
from support import ROOT, body, wait_for

RUN_LOCAL = str(ROOT / "egs" / "common" / "utils" / "run-local")


@pytest.fixture
def run(call_runner):
    return lambda *words: call_runner("run-local", *words)


def test_at_most_max_jobs_run_at_a_time(run, tmp_path):
    # ls without a pattern: a file that goes while it looks is no error. The first jobs wait for each other.
    (tmp_path / "job.sh").write_text(
        "touch on.$1\n[ $1 -gt $2 ] || timeout 20 bash -c 'until [ $(ls | grep -c ^on) -ge '$2' ]; do sleep 0.01; done'\n"
        "sleep 0.1\nls | grep -c ^on\nrm on.$1\n"
    )
    for most in (1, 3):
        done = run("--max-jobs-run", str(most), "JOB=1:6", "m.JOB.log", *f"bash job.sh JOB {most}".split())
        assert done.returncode == 0, done.stderr
        assert max(int(body(tmp_path / f"m.{n}.log")[0]) for n in range(1, 7)) == most


@pytest.fixture
def unnamed_gpus(monkeypatch):
    """No outer CUDA_VISIBLE_DEVICES (conftest.py hides all GPUs by it); to be asked for before call_runner."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")


def standin_nvidia_smi(folder, listing, code=0):
    """A folder whose nvidia-smi prints `listing`."""
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{listing}\nEND\nexit {code}\n")
    (folder / "nvidia-smi").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


H100 = "GPU {0}: NVIDIA H100 80GB HBM3 (UUID: GPU-{0}0cdf6b1-0101-aa2e)"


# mkdir fails where another job has the same GPU; the first two jobs wait for each other, so that no GPU is left idle.
USES_GPU = """
mkdir on.$CUDA_VISIBLE_DEVICES && echo $CUDA_VISIBLE_DEVICES && touch begun.JOB &&
{ [ JOB -gt 2 ] || timeout 20 bash -c 'until ls begun.1 begun.2; do sleep 0.01; done' >/dev/null 2>&1 ; } &&
rmdir on.$CUDA_VISIBLE_DEVICES
"""


@pytest.mark.parametrize("outer", [None, "3,MIG-7d5e2f8a-45ab"])
def test_every_job_has_a_gpu_of_its_own_and_hands_it_on(unnamed_gpus, call_runner, tmp_path, outer):
    path = standin_nvidia_smi(tmp_path / "bin", "\n".join(H100.format(number) for number in range(2)))
    gpus = {"GPU-00cdf6b1-0101-aa2e", "GPU-10cdf6b1-0101-aa2e"} if outer is None else set(outer.split(","))
    done = call_runner("run-local", "--gpu", "1", "JOB=1:5", "g.JOB.log", *USES_GPU.split(), PATH=path,
                       **({"CUDA_VISIBLE_DEVICES": outer} if outer else {}))  # fmt: skip
    assert done.returncode == 0, done.stderr
    used = [body(tmp_path / f"g.{number}.log") for number in range(1, 6)]
    assert {gpu for (gpu,) in used[:2]} == gpus and {gpu for (gpu,) in used[2:]} <= gpus


def test_gpus_threads_and_jobs_at_a_time_go_together(call_runner, tmp_path):
    count = "touch on.JOB; ls | grep -c ^on; sleep 0.1; rm on.JOB; echo $CUDA_VISIBLE_DEVICES"
    for options, gpus in (("--gpu 1 --max-jobs-run 1", {"4"}), ("--gpu 2", {"4,5"}),
                          (f"--gpu 1 --num-threads {os.cpu_count()}", {"4"})):  # fmt: skip
        done = call_runner(
            "run-local", *options.split(), "JOB=1:2", "m.JOB.log", *count.split(), CUDA_VISIBLE_DEVICES="4,5,6"
        )
        assert done.returncode == 0, done.stderr
        assert {tuple(body(tmp_path / f"m.{n}.log")) for n in range(1, 3)} == {("1", gpu) for gpu in gpus}


def test_jobs_that_share_gpus_run_at_once(call_runner, tmp_path):
    """Each of four jobs waits for the others."""
    (tmp_path / "job.sh").write_text(
        "touch on.$1\nuntil [ -e on.1 ] && [ -e on.2 ] && [ -e on.3 ] && [ -e on.4 ]; do sleep 0.01; done\n"
        "echo $CUDA_VISIBLE_DEVICES\n"
    )
    words = ("--gpu", "1", "--jobs-per-gpu", "2", "JOB=1:4", "s.JOB.log", "bash", "job.sh", "JOB")
    done = call_runner("run-local", *words, CUDA_VISIBLE_DEVICES="4,5")
    assert done.returncode == 0, done.stderr
    assert sorted(gpu for n in range(1, 5) for gpu in body(tmp_path / f"s.{n}.log")) == ["4", "4", "5", "5"]
    wrong = call_runner("run-local", "--gpu", "1", "--jobs-per-gpu", "0", "log/x.log", "true")
    assert wrong.returncode == 2 and "--jobs-per-gpu is a number, not '0'" in wrong.stderr


@pytest.mark.parametrize(
    ("asked", "outer", "message"),
    [
        ("1", None, "--gpu 1: nvidia-smi lists no GPU"),
        ("1", "", "--gpu 1: CUDA_VISIBLE_DEVICES='' names no GPU"),
        ("1", "-1,0", "--gpu 1: CUDA_VISIBLE_DEVICES='-1,0' names no GPU"),
        ("2", "7", "--gpu 2: CUDA_VISIBLE_DEVICES='7' names 1 GPU"),
        ("4", "7,8", "--gpu 4: CUDA_VISIBLE_DEVICES='7,8' names 2 GPUs"),
    ],
)
def test_a_job_that_wants_more_gpus_than_there_are_is_one_line(
    unnamed_gpus, call_runner, tmp_path, asked, outer, message
):
    path = standin_nvidia_smi(tmp_path / "bin", "NVIDIA-SMI has failed", code=9)
    environment = {"PATH": path} | ({} if outer is None else {"CUDA_VISIBLE_DEVICES": outer})
    done = call_runner("run-local", "--gpu", asked, "log/x.log", "true", **environment)
    assert (done.returncode, done.stderr) == (1, f"run-local: ERROR: {message}\n")
    assert not (tmp_path / "log").exists()
    assert call_runner("run-local", "--gpu", "one", "log/x.log", "true").returncode == 2


def test_nvidia_smis_list_and_cudas_variable_are_read():
    gpus = runpy.run_path(ROOT / "egs/common/utils/gpus.py")
    assert gpus["named"]("3, GPU-8932f937 ,-1,2") == ["3", "GPU-8932f937"]
    assert gpus["named"]("NoDevFiles") == gpus["named"]("") == []
    parts = [f"  MIG 3g.40gb     Device  {number}: (UUID: MIG-{number})" for number in range(2)]
    divided = [H100.format(0), H100.format(1), *parts]
    assert gpus["listed"]("\n".join(divided)) == ["GPU-00cdf6b1-0101-aa2e", "MIG-0", "MIG-1"]


def living(group):
    """The processes of a process group that have not ended, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(pgrp) == group and state != "Z":
            found.append(entry.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_every_process_of_every_job(tmp_path, number):
    command = "echo $$; sleep 300 | sleep 300 & bash -c 'trap : TERM; sleep 300; sleep 1' ; wait"
    runner = subprocess.Popen(
        [RUN_LOCAL, "--max-jobs-run", "2", "JOB=1:3", "k.JOB.log", *command.split()],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    logs = [tmp_path / "k.1.log", tmp_path / "k.2.log"]
    wait_for(lambda: all(log.exists() and body(log) for log in logs))
    groups = [int(body(log)[0]) for log in logs]
    # Two bashes, the two of the pipe, and the sleep behind the trap.
    wait_for(lambda: all(len(living(group)) == 5 for group in groups))
    runner.send_signal(number)
    _, err = runner.communicate(timeout=30)
    assert runner.returncode == 128 + number
    assert err == f"run-local: ERROR: stopped by {number.name}\n"
    assert [living(group) for group in groups] == [[], []]
    assert all("# Ended (code 0; signal 15)" in log.read_text() for log in logs)
    assert not (tmp_path / "k.3.log").exists()


def test_options_of_other_runners_are_ignored_with_their_value(run, tmp_path):
    done = run("--config", "conf/queue.conf", "--allow-downgrade", "true", "-q", "all.q", "x.log", "echo", "ran")
    assert done.returncode == 0 and body(tmp_path / "x.log") == ["ran"]
    assert done.stderr.splitlines() == [
        "run-local: WARNING: --allow-downgrade true is ignored",
        "run-local: WARNING: -q all.q is ignored",
    ]


def test_the_smaller_of_two_limits_holds(run, tmp_path):
    command = "touch on.JOB; sleep 0.1; ls | grep -c ^on; rm on.JOB"
    done = run("--max-jobs-run", "1", "--max-jobs-run", "3", "JOB=1:3", "m.JOB.log", *command.split())
    assert done.returncode == 0, done.stderr
    assert [body(tmp_path / f"m.{n}.log") for n in (1, 2, 3)] == [["1"], ["1"], ["1"]]
