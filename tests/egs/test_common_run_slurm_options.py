"""run-slurm's options, and confs of Kaldi's slurm.pl: what sbatch is told."""

import json

import pytest


def call_of(state):
    """Words and options of the first call of sbatch."""
    return json.loads((state / "1" / "call.json").read_text())


def test_what_a_task_gets_is_asked_of_sbatch(run_slurm, slurm_state):
    words = ["--mem", "8G", "--gpu", "2", "--num-threads", "4", "--time", "1:00:00", "--max-jobs-run", "3"]
    words += ["--notice", "60", "--sbatch", "--partition=gpu", "--sbatch", "--account=phonetics"]
    done = run_slurm(*words, "JOB=2:4 log/100%.JOB.log true")
    assert done.returncode == 0, done.stderr
    told, found = call_of(slurm_state)
    assert found.pop("--job-name").startswith("100%.JOB.log-")
    assert found == {
        "--array": "2-4%3", "--output": "log/100%%.%a.log", "--open-mode": "append", "--signal": "B:USR1@60",
        "--export": "ALL", "--nodes": "1", "--ntasks": "1", "--mem": "8G", "--gres": "gpu:2", "--cpus-per-task": "4",
        "--time": "1:00:00", "--partition": "gpu", "--account": "phonetics",
    }  # fmt: skip
    assert "--requeue" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "one"], "--gpu is a number, not 'one'"),
        (["--notice", "1m"], "--notice is a number, not '1m'"),
        (["--detach", "yes"], "--detach takes true or false, not 'yes'"),
        (["--after", "1,"], "--after takes ID[,ID], not '1,'"),
        (["--sbatch"], "--sbatch needs a value"),
    ],
)
def test_misuse_of_its_own_options_is_one_line(run_slurm, words, message):
    done = run_slurm(*words, *([] if words == ["--sbatch"] else ["x.log", "true"]))
    assert (done.returncode, done.stderr) == (2, f"run-slurm: ERROR: {message} (see run-slurm --help)\n")


SLURM_CONF = """# Kaldi's form
command sbatch --export=PATH --ntasks-per-node=1
option time=* --time $0
option mem=* --mem-per-cpu $0
option mem=0          # nothing
option num_threads=* --cpus-per-task $0
default gpu=0
option gpu=0 -p shared
option gpu=* -p gpu --gres=gpu:$0
option account=* -A $0
"""


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--mem", "2G"], ["--ntasks-per-node=1", "--mem-per-cpu", "2G", "-p", "shared"]),
        (["--mem", "0", "--gpu", "2", "-C", "a100"],
         ["--ntasks-per-node=1", "-p", "gpu", "--gres=gpu:2", "-C", "a100"]),
        (["--time", "1:00:00", "--account", "me"],
         ["--ntasks-per-node=1", "--time", "1:00:00", "-A", "me", "-p", "shared"]),
    ],
)  # fmt: skip
def test_config_of_kaldis_slurm_pl_says_what_sbatch_is_told(run_slurm, slurm_state, tmp_path, words, asked):
    (tmp_path / "slurm.conf").write_text(SLURM_CONF)
    done = run_slurm("--config", "slurm.conf", *words, "x.log", "true")
    assert done.returncode == 0, done.stderr
    told, _ = call_of(slurm_state)
    assert told[-len(asked) :] == asked
    assert not any(
        word.startswith(("--mem=", "--gres=gpu", "--time=", "--export=PATH")) for word in told[: -len(asked)]
    )


def test_short_options_are_sbatchs(run_slurm, slurm_state):
    assert run_slurm("-p", "gpu", "-A", "me", "x.log", "true").returncode == 0
    told, _ = call_of(slurm_state)
    assert told[-4:] == ["-p", "gpu", "-A", "me"]


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (["--nosuch", "1"], None, "there is no option --nosuch"),
        (["--config", "x.conf"], None, "--config x.conf: No such file or directory"),
        (["--config", "x.conf", "--no-such", "1"], SLURM_CONF, "x.conf: does not describe --no-such 1"),
        (["--config", "x.conf"], "optoin mem=*\n", "x.conf:1: neither command, option nor default: 'optoin mem=*'"),
        (["--config", "x.conf"], "default gpu=0\noption gpu=0\n", "x.conf: has no line 'command sbatch …'"),
    ],
)
def test_a_config_that_is_none_is_one_line(run_slurm, tmp_path, words, text, message):
    if text:
        (tmp_path / "x.conf").write_text(text)
    done = run_slurm(*words, "x.log", "true")
    assert (done.returncode, done.stderr) == (2, f"run-slurm: ERROR: {message} (see run-slurm --help)\n")
