"""run-slurm: what it does beyond Kaldi's contract, over a stand-in for Slurm that runs the tasks as processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, body, wait_for

RUN_SLURM = str(ROOT / "egs" / "common" / "utils" / "run-slurm")


@pytest.fixture
def start(start_slurm, slurm_environment):
    """Start a driver and leave it: start("JOB=1:2 JOB.log sleep 3") -> Popen."""
    return lambda *words: start_slurm(RUN_SLURM, slurm_environment, words)


def arrays(state):
    return sorted(folder.name for folder in state.iterdir())


def options_of(state, array):
    return json.loads((state / array / "call.json").read_text())[1]


def test_a_task_that_exits_with_75_is_run_again(run_slurm, tmp_path):
    done = run_slurm("a.log", "echo start >> starts; [ $(wc -l < starts) = 3 ] || exit 75")
    assert done.returncode == 0, done.stderr
    ends = [line[:17] for line in (tmp_path / "a.log").read_text().splitlines() if line.startswith("# Ended")]
    assert ends == ["# Ended (code 75)", "# Ended (code 75)", "# Ended (code 0) "]


def test_a_cancelled_task_is_named_while_the_others_run(start, slurm_state):
    driver = start("JOB=1:2", "x.JOB.log", "[ JOB = 2 ] && sleep 300; until [ -e go ]; do sleep 0.1; done")
    wait_for(lambda: (slurm_state / "1" / "2.pid").exists())
    (slurm_state / "1" / "2.cancel").touch()
    os.kill(int((slurm_state / "1" / "2.pid").read_text()), signal.SIGTERM)
    assert driver.stderr.readline() == "run-slurm: job 1 (2 tasks) submitted, log x.JOB.log\n"
    assert driver.stderr.readline() == "run-slurm: WARNING: job 1_2: CANCELLED, see x.2.log\n"
    assert driver.poll() is None
    (slurm_state.parents[1] / "go").touch()
    _, err = driver.communicate(timeout=20)
    assert driver.returncode == 1
    assert err.startswith("run-slurm: ERROR: 1 of 2 jobs failed, see x.2.log (CANCELLED); the end of the first:\n")


def test_after_a_killed_driver_nothing_is_submitted_twice(start, run_slurm, slurm_state, tmp_path):
    words = ["JOB=1:2", "x.JOB.log", "echo JOB >> started; until [ -e go ]; do sleep 0.1; done"]
    driver = start(*words)
    wait_for(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text().count("\n") == 2)
    driver.kill()
    driver.wait()
    # As if the first had been killed before sbatch told it the id: the second finds the array by its name.
    file = tmp_path / "x.JOB.log.slurm"
    file.write_text(file.read_text().split("\n")[0] + '\n{"array": ')
    other = run_slurm(*words[:2], "other")
    assert other.returncode == 1
    assert other.stderr == (
        "run-slurm: ERROR: x.JOB.log.slurm: job 1 is in the queue with another command or files: wait, or scancel 1\n"
    )
    second = start(*words)
    assert second.stderr.readline() == "run-slurm: job 1 is in the queue already\n"
    (tmp_path / "go").touch()
    assert second.wait(timeout=20) == 0
    assert arrays(slurm_state) == ["1"] and sorted((tmp_path / "started").read_text().split()) == ["1", "2"]
    assert not file.exists()


def test_only_failed_tasks_of_an_ended_array_run_again(run_slurm, slurm_state, tmp_path):
    words = ["JOB=1:3", "x.JOB.log", "echo JOB >> started; [ JOB != 2 ] || ls mende*"]
    done = run_slurm("--detach", "true", *words)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "1\n",
        "run-slurm: job 1 (3 tasks) submitted, log x.JOB.log\n",
    )
    wait_for(
        lambda: (
            "RUNNING" not in (states := [(slurm_state / "1" / n).read_text() for n in "123"])
            and "PENDING" not in states
        )
    )
    (tmp_path / "slurm" / "forgotten").touch()  # Slurm forgets a job minutes after its end: the logs tell
    (tmp_path / "mended").touch()
    again = run_slurm("--detach", "true", *words)
    assert (again.stdout, again.stderr) == ("2\n", "run-slurm: job 2 submitted, log x.JOB.log\n")
    assert options_of(slurm_state, "2")["--array"] == "2"
    wait_for(lambda: (slurm_state / "2" / "2").read_text() == "COMPLETED")
    last = run_slurm(*words)
    assert (last.returncode, last.stderr) == (0, "run-slurm: all tasks ended with code 0 in job 2\n")
    assert sorted((tmp_path / "started").read_text().split()) == ["1", "2", "2", "3"]
    # The end has been told: the same call is a new one.
    (tmp_path / "slurm" / "forgotten").unlink()
    assert run_slurm(*words).returncode == 0 and options_of(slurm_state, "3")["--array"] == "1-3"


def test_tasks_that_ended_with_other_settings_run_again(run_slurm, slurm_state, tmp_path):
    """The driver was gone when one of two tasks failed; then the settings were changed, and changed back."""
    conf, words = tmp_path / "x.conf", ["JOB=1:2", "x.JOB.log", "cat x.conf && [ JOB = 1 ]"]

    def submitted(text):
        conf.write_text(f"{text}\n")
        array = run_slurm("--detach", "true", *words).stdout.strip()
        wait_for(lambda: all((slurm_state / array / n).read_text() in ("COMPLETED", "FAILED") for n in tasks(array)))
        return options_of(slurm_state, array)["--array"]

    def tasks(array):
        return options_of(slurm_state, array)["--array"].split("-")

    assert [submitted(text) for text in ("old", "old", "new", "new", "old")] == ["1-2", "2", "1-2", "2", "1-2"]


@pytest.mark.parametrize(
    ("number", "in_a_job", "leaves"),
    [("SIGINT", True, False), ("SIGTERM", False, False), ("SIGTERM", True, True), ("SIGHUP", False, True)],
)
def test_control_c_and_term_cancel_the_array(start, slurm_state, tmp_path, slurm_environment, number, in_a_job, leaves):
    """A hangup leaves it, and so does TERM where the driver is a job: that is its own time limit, or its scancel."""
    slurm_environment.pop("SLURM_JOB_ID", None)
    slurm_environment |= {"SLURM_JOB_ID": "77"} if in_a_job else {}
    driver = start("JOB=1:2", "x.JOB.log", "echo $$ > pid.JOB; sleep 300")
    wait_for(lambda: all((tmp_path / f"pid.{n}").exists() for n in "12"))
    driver.send_signal(signal.Signals[number])
    _, err = driver.communicate(timeout=30)
    assert driver.returncode == 128 + signal.Signals[number]
    left = [(slurm_state / "1" / n).read_text() for n in "12"]
    if not leaves:
        assert err.endswith(f"run-slurm: ERROR: stopped by {number}, cancelling job 1\n")
        assert left == ["CANCELLED", "CANCELLED"]
        assert all("# Ended (code 143)" in (tmp_path / f"x.{n}.log").read_text() for n in "12")
        assert not any(Path(f"/proc/{(tmp_path / f'pid.{n}').read_text().strip()}").exists() for n in "12")
        assert not (tmp_path / "x.JOB.log.slurm").exists()
        return
    assert err.endswith(f"run-slurm: ERROR: stopped by {number}; job 1 keeps running; the same call waits for it\n")
    assert left == ["RUNNING", "RUNNING"]
    again = start("JOB=1:2", "x.JOB.log", "echo $$ > pid.JOB; sleep 300")
    assert again.stderr.readline() == "run-slurm: job 1 is in the queue already\n"
    for n in "12":
        os.kill(int((slurm_state / "1" / f"{n}.pid").read_text()), signal.SIGTERM)


def test_a_later_array_starts_when_earlier_ones_have_ended(run_slurm, slurm_state, tmp_path):
    first = run_slurm("--detach", "true", "JOB=1:2", "a.JOB.log", "sleep 0.5; echo a >> order; false").stdout.strip()
    second = run_slurm("--detach", "true", "--after", first, "b.log", "echo b >> order").stdout.strip()
    third = run_slurm("--after", f"{first},{second}", "c.log", "echo c >> order")
    assert third.returncode == 0, third.stderr
    assert [options_of(slurm_state, n).get("--dependency") for n in "123"] == [None, "afterany:1", "afterany:1:2"]
    assert (tmp_path / "order").read_text().split() == ["a", "a", "b", "c"]


LATE = """
import signal, sys, time
time.sleep(1)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
open("ready", "w").close()
time.sleep(0 if len(open("starts").read()) > 1 else 300)
"""


def test_a_notice_reaches_only_commands_with_a_handler(start, slurm_state, tmp_path):
    (tmp_path / "late.py").write_text(LATE)
    driver = start("u.log", "printf x >> starts; sleep 3 & python3 late.py; code=$?; wait; echo slept; (exit $code)")
    wait_for(lambda: (tmp_path / "starts").exists())
    os.kill(int((slurm_state / "1" / "1.pid").read_text()), signal.SIGUSR1)
    assert not (tmp_path / "ready").exists()
    _, err = driver.communicate(timeout=30)
    assert driver.returncode == 0, err
    log = (tmp_path / "u.log").read_text()
    assert body(tmp_path / "u.log") == ["slept", "slept"]
    assert log.index("# Ended (code 75)") < log.index("# Ended (code 0)")


SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
open("on", "w").close()
time.sleep(300)
"""


def test_term_ends_the_line_with_its_commands_status(start, slurm_state, tmp_path):
    (tmp_path / "saves.py").write_text(SAVES)
    driver = start("t.log [ ! -e on ] || exit 0; python3 saves.py; echo never")
    wait_for(lambda: (tmp_path / "on").exists())
    os.kill(int((slurm_state / "1" / "1.pid").read_text()), signal.SIGTERM)
    _, err = driver.communicate(timeout=30)
    assert driver.returncode == 0, err  # put back into the queue, and well the second time
    assert "# Ended (code 75)" in (tmp_path / "t.log").read_text() and body(tmp_path / "t.log") == []


def test_a_silent_controller_is_told_once_and_waited_for(start, slurm_state, tmp_path):
    driver = start("d.log", "until [ -e go ]; do sleep 0.1; done")
    wait_for(lambda: (slurm_state / "1" / "1.pid").exists())
    (tmp_path / "slurm" / "deaf").touch()
    assert driver.stderr.readline() == "run-slurm: job 1 submitted, log d.log\n"
    assert driver.stderr.readline() == (
        "run-slurm: WARNING: squeue: Unable to contact slurm controller (connect failure); asking again\n"
    )
    (slurm_state / "1" / "1").write_text("PENDING")
    (slurm_state / "1" / "held").touch()
    (tmp_path / "slurm" / "deaf").unlink()
    assert driver.stderr.readline() == (
        "run-slurm: WARNING: job 1_1 is held (launch failed requeued held): scontrol release resumes it\n"
    )
    (tmp_path / "go").touch()
    _, err = driver.communicate(timeout=30)
    assert (driver.returncode, err) == (0, "")


def test_a_job_that_cannot_start_is_told_with_slurms_reason(start, run_slurm, slurm_state, tmp_path):
    reason = tmp_path / "slurm" / "reason"
    reason.write_text("PartitionConfig")
    hint = "if it can never start, scancel 1 and change the request\n"
    done = run_slurm("--detach true", "JOB=1:2 d.JOB.log true")
    assert done.stderr.splitlines(keepends=True)[1:] == [
        f"run-slurm: WARNING: job 1 is pending, Slurm's reason is PartitionConfig: {hint}"
    ]
    driver = start("JOB=1:2 d.JOB.log true")
    assert driver.stderr.readline() == "run-slurm: job 1 is in the queue already\n"
    for said in ("PartitionConfig", "ReqNodeNotAvail, UnavailableNodes:n1"):
        reason.write_text(said)
        line = driver.stderr.readline()
        assert line == f"run-slurm: WARNING: job 1_[1-2] is pending, Slurm's reason is {said}: {hint}"
    reason.unlink()
    assert driver.wait(timeout=30) == 0


def test_an_array_longer_than_slurm_takes_is_refused(run_slurm, slurm_state, tmp_path):
    (tmp_path / "slurm" / "maxarray").write_text("1001")
    done = run_slurm("JOB=1:1001 d.JOB.log true")
    assert (done.returncode, done.stderr) == (
        1,
        "run-slurm: ERROR: JOB=1-1001 is too long: this cluster's MaxArraySize is 1001, so that JOB may be 1 to 1000; "
        "ask for fewer jobs\n",
    )
    assert arrays(slurm_state) == [] and [path.name for path in tmp_path.iterdir()] == ["slurm"]


def test_two_drivers_do_not_wait_for_the_same_jobs(start, run_slurm, slurm_state):
    start("d.log", "sleep 300")
    wait_for(lambda: arrays(slurm_state) == ["1"])
    done = run_slurm("d.log", "sleep 300")
    assert (done.returncode, done.stderr) == (
        1,
        "run-slurm: ERROR: d.log.slurm: another run-slurm waits for the same jobs\n",
    )
    os.kill(int((slurm_state / "1" / "1.pid").read_text()), signal.SIGTERM)


def test_without_slurm_it_says_so_in_one_line(call_runner, tmp_path):
    (tmp_path / "python3").symlink_to(sys.executable)
    done = call_runner("run-slurm", "x.log", "true", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "run-slurm: ERROR: there is no sbatch on PATH: is this a machine of the cluster?\n"


def test_the_slow_tests_copy_runs_its_own_code(checkout):
    """So that a merge during the minutes of tests/egs/test_slurm*.py leaves `code` in the models' cards as it was."""
    with open(checkout / "sertk" / "__init__.py", "a") as file:
        file.write('__version__ = "of the copy"\n')
    said = subprocess.run([checkout / "bin" / "validate-data", "--version"], capture_output=True, text=True, check=True)
    assert "of the copy" in said.stdout
