"""units: a plan of work of which nothing is done twice, and nothing is left that was made of other things."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, wait_for

from sertk.kaldi.tables import table_writer

UNITS = str(ROOT / "egs" / "common" / "utils" / "units")
# A unit that copies its input, and one that needs it.
TWO = """first/a cp {}/in {}/plan.d/a
second/b cp {}/plan.d/a {}/plan.d/b
"""


@pytest.fixture
def units(tmp_path):
    """A folder plan.d with a plan, and units called on it: units("status") -> CompletedProcess."""
    folder = tmp_path / "plan.d"
    folder.mkdir()

    class Called:
        root, dir = tmp_path, folder

        def plan(self, text):
            (folder / "plan").write_text(text.replace(" ", "\t").replace("{}", str(tmp_path)))

        def start(self, *words):
            env = os.environ | {"PYTHONPATH": str(ROOT)}
            return subprocess.Popen([UNITS, *map(str, words)], cwd=tmp_path, env=env, text=True,
                                    start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

        def __call__(self, *words):
            process = self.start(*words)
            out, err = process.communicate(timeout=60)
            return subprocess.CompletedProcess(words, process.returncode, out, err)

        def left(self, stage):
            return self("left", folder, stage).stdout.split()

        def run(self, stage, number=1):
            return self("run", folder, stage, "key", number)

    (tmp_path / "in").write_text("1\n")
    return Called()


def test_what_is_done_is_left_alone(units):
    units.plan(TWO)
    key = units.left("first")[1]
    assert units.left("first") == ["1", key] and units.left("second")[0] == "1"
    refused = units.run("second")
    needs = f"second/b needs first/a, which is not done (see {units.dir}/log/first/a.log)"
    assert (refused.returncode, refused.stderr) == (1, f"units: ERROR: {needs}\n")
    assert units.run("first").returncode == units.run("second").returncode == 0
    assert units.left("first") == units.left("second") == []
    assert units.run("second").stdout == "second/b: already done\n"
    assert (units.dir / "b").read_text() == "1\n"
    assert "cp" in (units.dir / "log" / "second" / "b.log").read_text()


def test_results_of_other_inputs_are_set_aside_and_remade(units):
    units.plan(TWO)
    units.run("first"), units.run("second")
    key = units.left("first")
    (units.root / "in").write_text("2\n")
    assert units.left("first")[1] != key
    assert "first/a: rerun, changed: '4355a46b19d348dc' before, '53c234e5e8472b6a' now" in units.run("first").stdout
    assert units.left("second") and units.run("second").returncode == 0
    assert [(units.dir / name).read_text() for name in "ab"] == ["2\n", "2\n"]
    assert [[old.read_text() for old in units.root.glob(f"plan.d.old/*/{name}")] for name in "ab"] == [["1\n"], ["1\n"]]


def test_a_lost_result_is_remade_and_an_unknown_set_aside(units):
    units.plan(TWO)
    (units.dir / "a").write_text("nobody knows\n")
    units.run("first"), units.run("second")
    assert [old.read_text() for old in units.root.glob("plan.d.old/*/a")] == ["nobody knows\n"]
    (units.dir / "b").unlink()
    assert units.left("second") and units.run("second").returncode == 0 and not units.left("second")


def test_outputs_replaced_within_a_second_are_all_kept(units):
    units.plan("first/a cp {}/in {}/plan.d/a\n")
    for number in range(4):
        (units.root / "in").write_text(f"{number}\n")
        units.run("first")
    assert sorted(old.read_text() for old in units.root.glob("plan.d.old/*/a")) == ["0\n", "1\n", "2\n"]


def test_an_archive_of_finished_units_may_be_deleted(units):
    units.plan("first/a cp {}/in {}/plan.d/d/a.scp\nsecond/b cp {}/plan.d/d/a.scp {}/plan.d/b\n")
    units.run("first"), units.run("second")
    (units.dir / "d" / "a.scp").unlink()
    assert units.left("first") == units.left("second") == []
    (units.dir / "b").unlink()
    assert units.left("first")[0] == units.left("second")[0] == "1"
    (units.root / "in").write_text("2\n")
    (units.dir / "d" / "more").write_text("of the old one")
    units.run("first")
    assert [path.name for path in (units.dir / "d").iterdir()] == ["a.scp"]
    assert not (units.root / "plan.d.old").exists()


def test_every_word_but_the_threads_is_a_setting(units):
    units.plan("a/1 touch --num-threads 1 {}/plan.d/x\n".replace("touch", f"{units.root}/tool"))
    (units.root / "tool").write_text('#!/bin/sh\nfor last; do :; done; touch "$last"\n')
    (units.root / "tool").chmod(0o755)
    assert units.run("a").returncode == 0
    plan = (units.dir / "plan").read_text()
    units.plan(plan.replace("--num-threads\t1", "--num-threads\t2"))
    assert units.left("a") == []
    units.plan(plan.replace("--num-threads\t1", "--epochs\t2"))
    assert units.left("a")


def test_a_table_is_known_by_the_content_of_its_archives(units):
    def table(folder, value):
        (units.root / folder).mkdir()
        with table_writer(f"ark,scp:{units.root}/{folder}/x.ark,{units.root}/{folder}/x.scp") as write:
            write("key", np.full((2, 3), value, np.float32))

    table("one", 1), table("two", 1), table("three", 3)
    plan = "a/1 cp {}/one/x.scp {}/plan.d/y\n"
    units.plan(plan)
    units.run("a")
    units.plan(plan.replace("one", "two"))
    assert units.left("a") == []
    units.plan(plan.replace("one", "three"))
    assert units.left("a")


def test_a_failure_is_told_and_left_alone_with_what_needs_it(units):
    units.plan("a/1 touch {}/plan.d/1\na/2 cp {}/nosuch {}/plan.d/2\nb/1 cp {}/plan.d/2 {}/plan.d/3\n")
    assert [units.run("a", n).returncode for n in (1, 2)] == [0, 1]
    assert units.left("a")[0] == "2"
    status = units("status", units.dir)
    assert status.returncode == 1
    assert status.stderr == (
        f"units: ERROR: a/2 failed, see {units.dir}/log/a/2.log\n"
        "units: ERROR: 1 left and nothing runs them: b/1 (rerun run_ablation.sh)\n"
    )
    assert [line.split()[:6] for line in status.stdout.splitlines()[1:]] == [
        ["a", "1", "0", "0", "1", "0"],
        ["b", "0", "0", "0", "0", "1"],
    ]
    (units.root / "nosuch").write_text("")
    assert units.run("a", 2).returncode == units.run("b").returncode == 0
    assert (units("status", units.dir).returncode, units("status", units.dir).stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_command_and_the_next_call_resumes(units, number):
    script = units.root / "work.sh"
    script.write_text(
        'trap "exit 75" TERM USR1\n[ ! -e half ] || { mv half plan.d/whole; exit 0; }\n'
        "touch half; touch plan.d/whole.tmp; while :; do sleep 0.05; done\n"
    )
    units.plan("a/1 bash {}/work.sh {}/plan.d/whole\n")
    running = units.start("run", units.dir, "a", "key", 1)
    wait_for((units.dir / "whole.tmp").exists)
    row = units("status", units.dir).stdout.splitlines()[1].split()
    assert row[:6] == ["a", "0", "1", "0", "0", "0"]
    os.killpg(running.pid, number)
    running.communicate(timeout=30)
    assert running.returncode == 75
    assert "a/1 was cancelled or killed, see" in units("status", units.dir).stderr
    assert units.run("a").returncode == 0
    assert (units.dir / "whole").exists() and not list(units.root.glob("plan.d.old"))


def test_what_was_killed_is_named(units):
    units.plan("a/1 sleep 100 {}/plan.d/1\n".replace("sleep", f"{units.root}/tool"))
    (units.root / "tool").write_text("#!/bin/sh\ntouch begun; sleep 100\n")
    (units.root / "tool").chmod(0o755)
    running = units.start("run", units.dir, "a", "key", 1)
    wait_for((units.root / "begun").exists)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=30)
    status = units("status", units.dir)
    assert status.returncode == 1 and status.stderr.startswith("units: ERROR: a/1 was cancelled or killed, see ")


def test_two_jobs_never_work_on_one_unit(units):
    (units.root / "slow.sh").write_text("echo x >>calls; while [ ! -e go ]; do sleep 0.05; done; touch plan.d/1\n")
    units.plan("a/1 bash {}/slow.sh {}/plan.d/1\n")
    first = units.start("run", units.dir, "a", "key", 1)
    wait_for((units.root / "calls").exists)
    second = units.start("run", units.dir, "a", "key", 1)
    time.sleep(0.3)
    (units.root / "go").write_text("")
    assert first.communicate(timeout=30)[0] == f"a/1: see {units.dir}/log/a/1.log\n"
    assert second.communicate(timeout=30)[0] == "a/1: already done\n"
    assert (units.root / "calls").read_text() == "x\n"


@pytest.mark.parametrize(("seconds", "left"), [(0, "  1 min"), (3, "  1 min"), (50, "  3 min"), (3600, "180 min")])
def test_the_time_left_is_that_of_the_done_units(units, seconds, left):
    units.plan("".join(f"a/{n} touch {{}}/plan.d/{n}\n" for n in range(1, 5)))
    for n in (1, 2):
        units.run("a", n)
        log = Path(units.dir / "log" / "a" / f"{n}.log")
        log.write_text(f"# ended with 0 after {n * seconds} s\n")
    assert units("status", units.dir).stdout.splitlines() == [
        "          done  running  queued  failed  left  time left",
        f"a            2        0       0       0     2    {left}",
    ]


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["status", "nosuch"], "[Errno 2] No such file or directory: 'nosuch/plan'", 1),
        (["run", "plan.d", "a", "key", "7"], "plan.d/plan: a has no unit 7", 1),
    ],
)
def test_a_wrong_call_is_one_line(units, words, message, code):
    units.plan("a/1 true /x\n")
    done = units(*words)
    assert (done.returncode, done.stderr) == (code, f"units: ERROR: {message}\n")


def test_help_is_there(units):
    assert units("--help").stdout.startswith("Units of work in DIR/plan") and units("--help").returncode == 0
    wrong = units("nosuch")
    assert (wrong.returncode, wrong.stderr) == (2, "units: ERROR: wrong arguments 'nosuch' (see units --help)\n")
