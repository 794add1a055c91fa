"""run-local and run-slurm: the contract of Kaldi's runners, which both keep (run-slurm over a stand-in for Slurm)."""

import os
import re
import signal
import subprocess

import pytest
from support import ROOT, body, let_children_take

import sertk

UTILS = ROOT / "egs" / "common" / "utils"


@pytest.fixture(params=["run-local", "run-slurm"])
def runner(request):
    return request.param


@pytest.fixture
def run(runner, call_runner):
    def call(*words, **environment):
        return call_runner(runner, *words, **environment)

    return call


def told(done):
    """What a runner says, without what run-slurm alone does: the job's id, and failures while others run."""
    return [line for line in done.stderr.splitlines() if "WARNING" not in line and " submitted, log " not in line]


def test_the_log_has_host_command_output_and_status(run, tmp_path):
    done = run("exp/log/a.log", "echo", "to stdout", ";", "echo", "to stderr", ">&2")
    assert (done.returncode, done.stdout, told(done)) == (0, "", [])
    log = (tmp_path / "exp/log/a.log").read_text()
    assert re.fullmatch(
        r"# Running on \S+\n# Started at .+\n# echo \"to stdout\" ; echo \"to stderr\" >&2\n#\n"
        r"to stdout\nto stderr\n# Ended \(code 0\) at .+, elapsed time \d+ seconds\n",
        log,
    ), log


def test_the_jobs_number_replaces_its_name_in_log_and_command(run, tmp_path):
    done = run("JOB=3:5", "log/x.JOB.log", "echo", "number JOB", ">", "out.JOB")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["x.3.log", "x.4.log", "x.5.log"]
    assert [(tmp_path / f"out.{n}").read_text() for n in (3, 4, 5)] == ["number 3\n", "number 4\n", "number 5\n"]
    assert '# echo "number 4" > out.4\n' in (tmp_path / "log/x.4.log").read_text()
    done = run("--mem", "2G", "FOLD=2", "--gpu", "1", "y.log", "echo", "FOLD", "JOB", CUDA_VISIBLE_DEVICES="0")
    assert body(tmp_path / "y.log") == ["2 JOB"]


def test_words_are_quoted_as_kaldi_quotes_them(run, tmp_path):
    # Without white space a word stands as it is: bash sees $X, pipes and quotes in it. With white space it is put in
    # "…" ($ still means something), or in '…' when it has a " in it.
    words = ["printf", r"'%s\n'", "$X", "a $X", '"$X" b', "", "c|d e", "x;", "echo", "one", "|", "cat"]
    done = run("q.log", *words, X="value")
    assert done.returncode == 0, done.stderr
    assert body(tmp_path / "q.log") == ["value", "a value", '"$X" b', "c|d e", "x", "one"]


def test_a_failing_left_side_of_a_pipe_fails_the_job(run, runner, tmp_path):
    done = run("p.log", "(", "echo", "half", ";", "exit", "3", ")", "|", "cat")
    assert done.returncode == 1
    assert "# Ended (code 3) at" in (tmp_path / "p.log").read_text()
    lines = told(done)
    assert lines[0] == f"{runner}: ERROR: the job failed, see p.log; the end of the first:"
    assert "  half" in lines


def test_failed_jobs_are_named_once_and_the_others_run(run, runner, tmp_path):
    done = run("--max-jobs-run", "2", "JOB=1:5", "JOB.log", "echo", "job JOB", ";", "[", "$((JOB%2))", "=", "1", "]")
    assert done.returncode == 1
    lines = told(done)
    assert lines[0] == f"{runner}: ERROR: 2 of 5 jobs failed, see 2.log 4.log; the end of the first:"
    assert "  job 2" in lines
    assert [body(tmp_path / f"{n}.log") for n in range(1, 6)] == [[f"job {n}"] for n in range(1, 6)]


def test_many_failures_are_told_in_ten_lines(run, runner):
    done = run("--max-jobs-run", "9", "JOB=1:9", "x.JOB.log", "seq", "20;", "[", "JOB", "=", "9", "]")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) <= 10, lines
    assert f"{runner}: ERROR: 8 of 9 jobs failed, see x.JOB.log for JOB=1-8; the end of the first:" in lines
    assert lines[-1].startswith("  # Ended (code 1)")


def test_a_command_that_a_signal_ended_is_a_failure(run, tmp_path):
    done = run("s.log", "kill", "-KILL", "$$")
    assert done.returncode == 1
    assert "# Ended (code 0; signal 9)" in (tmp_path / "s.log").read_text()


def test_num_threads_reaches_the_jobs(run, tmp_path):
    run("--num-threads", "3", "t.log", "echo", "$OMP_NUM_THREADS")
    assert body(tmp_path / "t.log") == ["3"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.log"], "expected: [JOB=1:N] LOG COMMAND…"),
        (["JOB=1:2", "x.log", "true"], "2 jobs cannot share the log x.log: it needs JOB in its name"),
        (["JOB=2:1", "x.JOB.log", "true"], "JOB=2:1 is not NAME=1:N"),
        (["JOB=0:1", "x.JOB.log", "true"], "JOB=0:1 is not NAME=1:N"),
        (["JOB=1:", "x.JOB.log", "true"], "JOB=1: is not NAME=1:N"),
        (["JOB=a:b", "x.JOB.log", "true"], "JOB=a:b is not NAME=1:N"),
        (["-pe", "smp"], "-pe needs a value"),
        (["--max-jobs-run", "0", "x.log", "true"], "--max-jobs-run is a number, not '0'"),
        (["--mem"], "--mem needs a value"),
    ],
)
def test_misuse_is_one_line_and_exit_2(run, runner, words, message):
    done = run(*words)
    assert (done.returncode, done.stderr) == (2, f"{runner}: ERROR: {message} (see {runner} --help)\n")


def test_options_of_kaldis_runners_are_accepted(run, tmp_path):
    words = ["-V", "-l", "mem_free=1G,ram_free=1G", "-pe", "smp", "5", "--mem=2G", "-sync", "y", "-tc", "2", "JOB=1:3"]
    done = run(*words, "--num-threads", "2", "x.JOB.log", "echo", "JOB")
    assert done.returncode == 0 and "WARNING" not in done.stderr
    assert [body(tmp_path / f"x.{n}.log") for n in (1, 2, 3)] == [["1"], ["2"], ["3"]]


def test_version_and_usage(run, runner):
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"{runner} (sertk) {sertk.__version__}\n")
    done = run()
    assert done.returncode == 2 and done.stdout == "" and f"usage: {runner} [--mem M]" in done.stderr


def test_a_log_that_cannot_be_written_is_one_line(run, runner, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.log").mkdir()
    for log, reason in {"file/x.log": "Not a folder: 'file'", "folder.log": "Is a directory: 'folder.log'"}.items():
        done = run(log, "true")
        assert done.returncode == 1
        assert re.fullmatch(rf"{runner}: ERROR: \[Errno \d+\] {reason}\n", done.stderr), done.stderr


def test_a_job_starts_with_no_signal_blocked(run, tmp_path):
    done = run("b.log", "grep", "SigBlk", "/proc/self/status")
    assert done.returncode == 0
    assert body(tmp_path / "b.log") == ["SigBlk:\t0000000000000000"]


def test_help_says_what_the_runner_does(run, runner):
    done = run("--mem", "2G", "--help")
    assert done.returncode == 0 and f"usage: {runner} [--mem M] [--gpu N]" in done.stdout


def test_tests_started_in_the_background_may_send_int():
    """`make test &` and nohup start pytest with INT or HUP ignored; USR2 stands in for them."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        let_children_take(signal.SIGUSR2)
        assert subprocess.run(["bash", "-c", "kill -USR2 $$; exit 0"]).returncode == -signal.SIGUSR2
        os.kill(os.getpid(), signal.SIGUSR2)  # does nothing here
    finally:
        signal.signal(signal.SIGUSR2, before)
