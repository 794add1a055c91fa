"""run-local: what it does beyond Kaldi's contract (test_common_runners.py has that)."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import ROOT, body

RUN_LOCAL = str(ROOT / "egs" / "common" / "utils" / "run-local")


@pytest.fixture
def run(call_runner):
    return lambda *words: call_runner("run-local", *words)


def test_at_most_max_jobs_run_at_a_time(run, tmp_path):
    # ls without a pattern: a file that goes while it looks is no error.
    command = "touch on.JOB; ls | grep -c ^on; sleep 0.4; rm on.JOB"
    for most in (1, 3):
        done = run("--max-jobs-run", str(most), "JOB=1:6", "m.JOB.log", *command.split())
        assert done.returncode == 0, done.stderr
        assert max(int(body(tmp_path / f"m.{n}.log")[0]) for n in range(1, 7)) == most


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
    deadline = time.monotonic() + 20
    while not all(log.exists() and body(log) for log in logs) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    groups = [int(body(log)[0]) for log in logs]
    assert all(len(living(group)) >= 3 for group in groups)
    runner.send_signal(number)
    _, err = runner.communicate(timeout=30)
    assert runner.returncode == 128 + number
    assert err == f"run-local: ERROR: stopped by {number.name}\n"
    assert [living(group) for group in groups] == [[], []]
    assert all("# Ended (code 0; signal 15)" in log.read_text() for log in logs)
    assert not (tmp_path / "k.3.log").exists()
