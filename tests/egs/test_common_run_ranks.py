"""run-ranks: N processes of one training, and the status that they ended with."""

import os
import signal
import subprocess

import pytest
from support import ROOT, wait_for

RUN_RANKS = str(ROOT / "egs" / "common" / "utils" / "run-ranks")


@pytest.fixture
def start(tmp_path):
    """Start ranks of a line for bash: start(2, "exit $RANK", OMP_NUM_THREADS="4") -> Popen."""
    started = []

    def call(size, line, **environment):
        started.append(
            subprocess.Popen(
                [RUN_RANKS, str(size), "bash", "-c", line],
                cwd=tmp_path,
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.wait()


def test_ranks_know_their_place_and_share_the_threads(start):
    line = "echo $RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $OMP_NUM_THREADS $((MASTER_PORT > 1023))"
    out, err = start(3, line, OMP_NUM_THREADS="7").communicate(timeout=20)
    assert (sorted(out.splitlines()), err) == ([f"{n} {n} 3 127.0.0.1 2 1" for n in range(3)], "")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("exit 0", 0),
        ("exit 75", 75),
        ("exit $((RANK * 75))", 75),
        ("[ $RANK = 1 ] || exec sleep 100; exit 3", 3),  # the other is ended, as it would wait for ever
        ("[ $RANK = 1 ] || exec sleep 100; kill -KILL $$", 137),
        ("[ $RANK = 1 ] || exit 75; sleep 0.1; exit 3", 3),
    ],
)
def test_the_status_is_that_of_the_ranks(start, line, status):
    assert start(2, line).wait(timeout=20) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_all_ranks_and_75_is_kept(start, tmp_path, number):
    process = start(2, "trap 'exit 75' TERM USR1; touch on.$RANK; while :; do sleep 0.05; done")
    for rank in (0, 1):
        wait_for((tmp_path / f"on.{rank}").exists)
    process.send_signal(number)
    assert process.wait(timeout=20) == 75


def test_a_notice_waits_for_ranks_that_have_no_handler_yet(start, tmp_path):
    process = start(2, "touch on.$RANK; sleep 1; trap 'exit 75' USR1; while :; do sleep 0.05; done")
    for rank in (0, 1):
        wait_for((tmp_path / f"on.{rank}").exists)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=20) == 75


def test_a_notice_under_run_slurm_requeues_the_training(call_runner, tmp_path):
    """As egs/voxceleb --num-gpus 2 does it."""
    line = "[ -e once.$RANK ] && exit; touch once.$RANK; trap 'exit 75' USR1; kill -USR1 $PPID; while :; do sleep 0.05; done"
    (tmp_path / "train").write_text(f"#!/usr/bin/env bash\n{line}\n")
    (tmp_path / "train").chmod(0o755)
    done = call_runner("run-slurm", "t.log", "run-ranks", "2", "./train")
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "t.log").read_text()
    assert log.count("# Ended (code 75)") == 1 and log.count("# Ended (code 0)") == 1


def test_misuse_is_one_line(start):
    for words in (["2"], ["0", "true"], ["two", "true"]):
        done = subprocess.run([RUN_RANKS, *words], capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stderr) == (2, "run-ranks: ERROR: expected: N COMMAND… (see run-ranks --help)\n")
