"""units: a plan of work of which nothing is done twice, and nothing is left that was made of other things."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import ROOT

UNITS = str(ROOT / "egs" / "common" / "utils" / "units")
# A unit that copies its input, and one that needs it.
TWO = """
unit first/a
reads {}/in
writes a
code c1
do cp {}/in {}/plan.d/a

unit second/b
needs first/a
writes b
code c1
do cp {}/plan.d/a {}/plan.d/b
"""


@pytest.fixture
def units(tmp_path):
    """A folder plan.d with a plan, and units called on it: units("status") -> CompletedProcess."""
    folder = tmp_path / "plan.d"
    folder.mkdir()

    class Called:
        root, dir = tmp_path, folder

        def plan(self, text):
            (folder / "plan").write_text(text.replace("{}", str(tmp_path)))

        def start(self, *words):
            env = os.environ | {"PYTHONPATH": str(ROOT)}
            return subprocess.Popen([UNITS, *map(str, words)], cwd=tmp_path, env=env, text=True,
                                    start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

        def __call__(self, *words):
            process = self.start(*words)
            out, err = process.communicate(timeout=60)
            return subprocess.CompletedProcess(words, process.returncode, out, err)

        def stage(self, name):
            """Run what is left of a stage; the exit statuses, by unit."""
            listed = self("left", folder, name).stdout.split()
            if not listed:
                return {}
            path, number = listed
            names = Path(path).read_text().split()
            assert len(names) == int(number)
            ended = {unit: self("run", path, n).returncode for n, unit in enumerate(names, 1)}
            Path(path).unlink()
            return ended

        def state(self, name):
            return json.loads((folder / "state" / f"{name}.json").read_text())

    (tmp_path / "in").write_text("1\n")
    return Called()


def test_what_is_done_is_left_alone(units):
    units.plan(TWO)
    assert units.stage("second") == {}  # its input is not there yet
    assert units.stage("first") == {"first/a": 0}
    assert units.stage("second") == {"second/b": 0}
    assert units.stage("first") == units.stage("second") == {}
    listed = units.dir / "todo" / "second.1"
    listed.write_text("second/b\n")
    assert units("run", listed, 1).stdout == "second/b: was done already\n"
    assert (units.dir / "b").read_text() == "1\n"
    assert "cp" in (units.dir / "log" / "second" / "b.log").read_text()


def test_what_was_made_of_other_things_is_set_aside_and_made_again(units):
    units.plan(TWO)
    units.stage("first"), units.stage("second")
    (units.root / "in").write_text("2\n")
    listed = units("left", units.dir, "first").stdout.split()[0]
    said = units("run", listed, 1).stdout
    assert "first/a: is run again, changed: " in said and "plan.d.old/1/a" in said
    assert units.stage("second") == {"second/b": 0}
    assert [(units.dir / name).read_text() for name in "ab"] == ["2\n", "2\n"]
    assert [(units.root / "plan.d.old" / "1" / name).read_text() for name in "ab"] == ["1\n", "1\n"]
    # Back to what it was: the second old run does not replace the first.
    (units.root / "in").write_text("1\n")
    units.stage("first")
    assert (units.root / "plan.d.old" / "2" / "a").read_text() == "2\n"


def test_a_lost_result_is_made_again_and_an_unknown_one_is_not_taken_for_one(units):
    units.plan(TWO)
    (units.dir / "a").write_text("nobody knows\n")
    units.stage("first"), units.stage("second")
    assert (units.root / "plan.d.old" / "1" / "a").read_text() == "nobody knows\n"
    (units.dir / "b").unlink()
    assert units.stage("second") == {"second/b": 0}


def test_what_only_done_units_needed_may_be_deleted(units):
    units.plan(TWO.replace("writes a", "drops d").replace("plan.d/a", "plan.d/d/a"))
    units.stage("first"), units.stage("second")
    (units.dir / "d" / "a").unlink()
    (units.dir / "d").rmdir()
    assert units.stage("first") == units.stage("second") == {}
    (units.dir / "b").unlink()
    assert units.stage("first") == {"first/a": 0} and units.stage("second") == {"second/b": 0}


def test_a_folder_to_drop_is_made_for_the_command_and_removed_when_its_inputs_change(units):
    units.plan(TWO.replace("writes a", "drops d").replace("plan.d/a", "plan.d/d/a"))
    units.stage("first")
    (units.dir / "d" / "more").write_text("of the old one")
    (units.root / "in").write_text("2\n")
    units.stage("first")
    assert [path.name for path in (units.dir / "d").iterdir()] == ["a"]
    assert not (units.root / "plan.d.old").exists()


def test_other_code_makes_all_anew_unless_any_code_will_do(units):
    units.plan(TWO)
    units.stage("first"), units.stage("second")
    units.plan(TWO.replace("code c1", "code c2 any"))
    assert units.stage("first") == units.stage("second") == {}
    units.plan(TWO.replace("code c1", "code c2"))
    assert units.stage("first") == {"first/a": 0}
    units.plan(TWO.replace("code c1", "code c1 any"))
    assert units.stage("second") == {}


def test_the_number_of_threads_is_no_setting_but_every_other_word_is(units):
    units.plan("unit a/1\ndo true --num-threads 1 --epochs 2\n")
    units.stage("a")
    units.plan("unit a/1\ndo true --num-threads 2 --epochs 2\n")
    assert units.stage("a") == {}
    units.plan("unit a/1\ndo true --num-threads 2 --epochs 3\n")
    listed = units("left", units.dir, "a").stdout.split()[0]
    assert "changed: '2' before, '3' now" in units("run", listed, 1).stdout


def test_a_table_is_known_by_the_content_of_its_archives(units):
    def table(folder, sha256):
        (units.root / folder).mkdir()
        (units.root / folder / "x.scp").write_text(f"k {units.root}/{folder}/x.ark:2\n")
        manifest = {"keys": 1, "frames": 1, "dim": 1, "sha256": sha256, "settings": {}}
        (units.root / folder / "x.manifest").write_text(json.dumps(manifest))

    table("one", "aa"), table("two", "aa"), table("three", "bb")
    plan = "unit a/1\nreads {}/one/x.scp\ndo true scp:{}/one/x.scp\n"
    units.plan(plan)
    units.stage("a")
    units.plan(plan.replace("one", "two"))
    assert units.stage("a") == {}
    units.plan(plan.replace("one", "three"))
    assert units.stage("a") == {"a/1": 0}


def test_a_failure_is_told_and_run_again_alone(units):
    units.plan("unit a/1\ndo true\n\nunit a/2\ndo cat {}/nosuch\n\nunit b/1\nneeds a/2\ndo true\n")
    assert units.stage("a") == {"a/1": 0, "a/2": 1}
    left = units("left", units.dir, "b")
    assert (left.stdout, left.stderr) == ("", "units: WARNING: b: 1 of 1 wait for what is not done\n")
    status = units("status", units.dir)
    assert status.returncode == 1
    assert status.stderr == f"units: ERROR: a/2 failed, see {units.dir}/log/a/2.log\n"
    assert [line.split()[:5] for line in status.stdout.splitlines()[1:]] == [
        ["a", "1", "0", "1", "0"],
        ["b", "0", "0", "0", "1"],
    ]
    (units.root / "nosuch").write_text("")
    assert units.stage("a") == {"a/2": 0}
    assert units("status", units.dir).returncode == 0


def test_a_unit_whose_input_failed_refuses_in_one_line(units):
    units.plan(TWO)
    (units.dir / "todo").mkdir()
    (units.dir / "todo" / "second").write_text("second/b\n")
    done = units("run", units.dir / "todo" / "second", 1)
    assert done.returncode == 1
    assert done.stderr == (
        f"units: ERROR: second/b needs first/a, which is not done (see {units.dir}/log/first/a.log)\n"
    )
    assert not (units.dir / "state" / "second" / "b.json").exists()


def test_a_list_is_taken_again_while_it_has_all_that_is_left_and_else_never_changed(units):
    plan = "".join(f"unit a/{n}\nreads {{}}/in\nwrites {n}\ndo touch {{}}/plan.d/{n}\n\n" for n in (1, 2))
    units.plan(plan)
    listed = units.dir / "todo" / "a.1"
    assert units("left", units.dir, "a").stdout == f"{listed} 2\n"
    units("run", listed, 1)
    assert units("left", units.dir, "a").stdout == f"{listed} 2\n"
    units.plan(plan + plan.replace("a/1", "a/3").replace("a/2", "a/4"))
    more = units.dir / "todo" / "a.2"
    assert units("left", units.dir, "a").stdout == f"{more} 3\n"
    assert (listed.read_text(), more.read_text()) == ("a/1\na/2\n", "a/2\na/3\na/4\n")
    # What is to be made anew is no job of then.
    (units.root / "in").write_text("2\n")
    assert units("left", units.dir, "a").stdout == f"{units.dir}/todo/a.3 4\n"


def test_all_that_is_left_has_what_waits_for_others(units):
    units.plan(TWO)
    assert units("left", units.dir, "second").stdout == ""
    assert units("left", units.dir, "second", "all").stdout == f"{units.dir}/todo/second.1 1\n"


def test_exit_75_calls_the_command_again(units):
    script = units.root / "twice.sh"
    script.write_text('echo x >>calls; [ "$(wc -l <calls)" -eq 3 ] || exit 75\n')
    units.plan(f"unit a/1\ndo bash {script}\n")
    assert units.stage("a") == {"a/1": 0}
    assert (units.root / "calls").read_text() == "x\n" * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_command_and_the_next_call_goes_on_with_what_is_there(units, number):
    script = units.root / "work.sh"
    script.write_text(
        'trap "exit 75" TERM USR1\n[ ! -e half ] || { mv half plan.d/whole; exit 0; }\n'
        "touch half; touch plan.d/whole.tmp; while :; do sleep 0.05; done\n"
    )
    units.plan(f"unit a/1\nwrites whole\ndo bash {script}\n")
    listed = units("left", units.dir, "a").stdout.split()[0]
    running = units.start("run", listed, 1)
    wait_for(units.dir / "whole.tmp")
    row = units("status", units.dir).stdout.splitlines()[1].split()
    assert row[:5] == ["a", "0", "1", "0", "0"]
    os.killpg(running.pid, number)
    assert running.communicate(timeout=30)[0].endswith("a/1: stopped; it goes on when it is run again\n")
    assert running.returncode == 75
    assert units.state("a/1")["state"] == "begun"
    assert units.stage("a") == {"a/1": 0}
    assert (units.dir / "whole").exists()


def test_two_jobs_never_work_on_one_unit(units):
    script = units.root / "slow.sh"
    script.write_text("echo x >>calls; while [ ! -e go ]; do sleep 0.05; done\n")
    units.plan(f"unit a/1\ndo bash {script}\n")
    listed = units("left", units.dir, "a").stdout.split()[0]
    first = units.start("run", listed, 1)
    wait_for(units.root / "calls")
    second = units.start("run", listed, 1)
    time.sleep(0.3)
    (units.root / "go").write_text("")
    assert first.communicate(timeout=30)[0].startswith("a/1: begins\na/1: done after ")
    assert second.communicate(timeout=30)[0] == "a/1: was done already\n"
    assert (units.root / "calls").read_text() == "x\n"


def test_the_time_left_is_that_of_done_units_of_the_same_kind(units):
    kinds = {"a/1": "long", "a/2": "long", "a/3": "short", "a/4": "short", "a/5": "long"}
    units.plan("".join(f"unit {name}\nkind {kind}\ndo true {name}\n\n" for name, kind in kinds.items()))
    units.stage("a")
    for name, seconds in {"a/1": 3600, "a/2": 7200, "a/3": 60}.items():
        state = units.state(name) | {"seconds": seconds}
        (units.dir / "state" / f"{name}.json").write_text(json.dumps(state))
    # Left: a short one (60 s) and a long one (5400 s) of which 1000 s were done before it was interrupted.
    (units.dir / "state" / "a" / "4.json").unlink()
    state = units.state("a/5") | {"state": "begun", "seconds": 1000}
    (units.dir / "state" / "a" / "5.json").write_text(json.dumps(state))
    assert units("status", units.dir).stdout.splitlines() == [
        "   done  running  failed  left   time left",
        "a     3        0       0     2  1 h 14 min",
    ]


def test_the_code_of_a_part_is_its_sources(units):
    first, again, other = (units("code", *parts).stdout for parts in (["data"], ["data"], ["data", "models"]))
    assert first == again != other
    assert len(first) == 17


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["nosuch"], "what is 'nosuch'? (see units --help)", 2),
        (["run", "todo/a", "x"], "what is 'run todo/a x'? (see units --help)", 2),
        (["status", "nosuch"], "[Errno 2] No such file or directory: 'nosuch/plan'", 1),
        (["status", "plan.d"], "plan.d/plan:1: is no line of a plan: nonsense", 1),
    ],
)
def test_a_wrong_call_is_one_line(units, words, message, code):
    units.plan("nonsense\n")
    done = units(*words)
    assert (done.returncode, done.stderr) == (code, f"units: ERROR: {message}\n")


def test_help_is_there(units):
    assert units("--help").stdout.startswith("A plan of work in units")


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
