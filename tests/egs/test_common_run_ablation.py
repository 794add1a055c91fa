"""run_ablation.sh with stand-ins for the binaries that take long: what is run, once, and what is run again."""

import fcntl
import json
import subprocess
import threading
import time
from collections import Counter

import pytest
from support import ROOT, wait_for

COMMON = ROOT / "egs" / "common"
# Each notes its call in $CALLS and writes the files that the next one looks for; the speaker of a fold may be broken.
STANDINS = {
    "embed-segments": 'out=${*: -1}; out=${out##*,}; echo "key a:1" >"$out"; echo x >"${out%.scp}.ark"',
    "transfer-head": 'for n in 1 2; do mkdir -p "${*: -1}/$n"; echo net >"${*: -1}/$n/final.pt"; done',
    "train-resnet": '[ ! -e "$CALLS.broken" ] || [[ $* != *"--fold 2"* ]] || exit 1\n'
    'mkdir -p "${*: -1}"; echo net >"${*: -1}/final.pt"',
    "predict-emotion": 'for n in 1 2; do out=${*: -1}; out=${out#ark:}; echo scores >"${out/FOLD/$n}"; done',
    "score-loso": 'while [ "$1" != --json ]; do shift; done; echo \'{}\' >"$2"; echo "%WA 50"',
    "make-report": "mkdir -p ${*: -1}",
}
# The folds are predicted by as many jobs as there are cores.
ONE_CORE = "#!/bin/sh\necho 1\n"


@pytest.fixture
def grid(tmp_path, slurm_environment):
    """A recipe with data of 16 segments, and run_ablation.sh in it: grid("--masks", "plain") -> CompletedProcess."""
    bin_dir, data, conf = tmp_path / "bin", tmp_path / "data" / "all", tmp_path / "conf"
    for folder in (bin_dir, data, conf, tmp_path / "exp" / "resnet34"):
        folder.mkdir(parents=True)
    for name, body in STANDINS.items():
        text = f'#!/usr/bin/env bash\nset -eu\necho "{name} $*" >>"$CALLS"\n{body}\n'
        (bin_dir / name).write_text(text)
        (bin_dir / name).chmod(0o755)
    (bin_dir / "nproc").write_text(ONE_CORE)
    (bin_dir / "nproc").chmod(0o755)
    keys = [f"s{n % 4}-{n:02d}" for n in range(16)]
    for name, value in {"utt2label": ["ang", "sad"], "utt2spk": [f"s{n}" for n in range(4)]}.items():
        lines = sorted(f"{key} {value[n % len(value)]}\n" for n, key in enumerate(keys))
        (data / name).write_text("".join(lines))
    (data / "feats.scp").write_text("".join(f"{key} feats.ark:{n}\n" for n, key in enumerate(sorted(keys))))
    (tmp_path / "exp" / "resnet34" / "final.pt").write_text("speakers")
    for name in ("draws", "head", "scratch"):
        (conf / f"{name}.conf").write_text("--seed=0\n")
    for name in ("exp1", "exp2"):
        (conf / f"labels.{name}").write_text("ang ang\nsad sad\n")
    env = slurm_environment | {
        "PATH": f"{bin_dir}:{COMMON / 'steps'}:{ROOT / 'bin'}:{slurm_environment['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CALLS": str(tmp_path / "calls"),
        "LC_ALL": "C",
    }

    def run(*words, code=0):
        (tmp_path / "calls").write_text("")
        line = ["run_ablation.sh", "--num-folds", "2", *words]
        done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr
        done.calls = (tmp_path / "calls").read_text().splitlines()
        return done

    return run


def count(done):
    names = [line.split()[0] for line in done.calls]
    return {name: names.count(name) for name in STANDINS if name in names}


SMALL = ("--masks", "plain", "--pooling", "pooled")


def test_eight_cells_share_trunk_passes(grid, tmp_path):
    grid("--frames", "77", "--cmd", "true", code=1)  # a plan, and nothing of it is run
    plan = [line.split("\t") for line in (tmp_path / "exp/ablation/plan").read_text().splitlines()]
    # 4 trunk passes and head sets, 4 × 2 folds from scratch; 8 cells scored.
    assert Counter(binary for _, binary, *_ in plan) == {
        "make-folds": 1, "embed-segments": 4, "transfer-head": 4, "train-resnet": 8, "score_cell.sh": 8,
    }  # fmt: skip
    calls = "\n".join(" ".join(words) for _, *words in plan).replace(f"{tmp_path}/", "")
    assert "embed-segments --config conf/draws.conf --augment none --chunk-frames 77 --at map --seed 0 " in calls
    assert "embed-segments --config conf/draws.conf --at pool --seed 0 " in calls
    assert "train-resnet --config conf/scratch.conf --chunk-frames 77 --pooling none --seed 0 " in calls
    assert "train-resnet --config conf/scratch.conf --augment none --seed 0 " in calls


def test_what_is_finished_is_not_rerun(grid, tmp_path):
    words = ("--frames", "77", "--masks", "masks", "--pooling", "fixed")
    assert count(grid(*words)) == {"embed-segments": 1, "transfer-head": 1, "train-resnet": 2, "predict-emotion": 2,
                                   "score-loso": 2, "make-report": 1}  # fmt: skip
    for start in ("scratch", "transfer"):
        cell = {"experiment": "exp1", "transfer": start == "transfer", "masks": True, "pooling": False, "seed": 0}
        assert json.loads((tmp_path / f"exp/ablation/exp1/{start}-masks-fixed/0/cell.json").read_text()) == cell
    assert count(grid(*words, "--num-threads", "2")) == {"make-report": 1}
    # A further experiment has heads and trainings of its own, and the same trunk pass.
    more = grid(*words, "--experiments", "exp1 exp2")
    assert count(more) == {
        "transfer-head": 1,
        "train-resnet": 2,
        "predict-emotion": 2,
        "score-loso": 2,
        "make-report": 1,
    }


def test_a_changed_conf_reruns_what_depends_on_it_only(grid, tmp_path):
    grid(*SMALL)
    cell = json.loads((tmp_path / "exp/ablation/exp1/transfer-plain-pooled/0/cell.json").read_text())
    assert (cell["transfer"], cell["masks"], cell["pooling"]) == (True, False, True)
    (tmp_path / "conf" / "head.conf").write_text("--epochs=3\n")
    assert count(grid(*SMALL)) == {"transfer-head": 1, "predict-emotion": 1, "score-loso": 1, "make-report": 1}
    assert list(tmp_path.glob("exp/ablation.old/*/exp1/transfer-plain-pooled/0/results.json"))
    (tmp_path / "exp" / "resnet34" / "final.pt").write_text("other speakers")
    assert count(grid(*SMALL)) == {"embed-segments": 1, "transfer-head": 1, "predict-emotion": 1, "score-loso": 1,
                                   "make-report": 1}  # fmt: skip
    (tmp_path / "conf" / "labels.exp1").write_text("sad sad\nang ang\n")
    assert count(grid(*SMALL)) == {"transfer-head": 1, "train-resnet": 2, "predict-emotion": 2, "score-loso": 2,
                                   "make-report": 1}  # fmt: skip


def test_a_failed_cell_stops_no_other_and_is_rerun_alone(grid, tmp_path):
    (tmp_path / "calls.broken").write_text("")
    done = grid(*SMALL, code=1)
    assert count(done) == {"embed-segments": 1, "transfer-head": 1, "train-resnet": 2, "predict-emotion": 1,
                           "score-loso": 1, "make-report": 1}  # fmt: skip
    logs = tmp_path / "exp/ablation/log"
    assert done.stderr.endswith(
        f"units: ERROR: scratch/exp1/plain-pooled/0/2 failed, see {logs}/scratch/exp1/plain-pooled/0/2.log\n"
        "units: ERROR: 1 left and nothing runs them: scores/exp1/scratch-plain-pooled/0 (rerun run_ablation.sh)\n"
    )
    assert "scratch/exp1/plain-pooled/0/2, which is not done" in (logs / "scores.2.log").read_text()
    (tmp_path / "calls.broken").unlink()
    again = grid(*SMALL)
    assert count(again) == {"train-resnet": 1, "predict-emotion": 1, "score-loso": 1, "make-report": 1}
    assert "--fold 2" in again.calls[0] and "scratch: 2" in again.stdout
    done = grid("--status")
    assert done.calls == []
    rows = [line.split()[:6] for line in done.stdout.splitlines()[1:]]
    assert rows == [[name, number, "0", "0", "0", "0"] for name, number in
                    zip(["folds", "trunk", "heads", "scratch", "scores"], "11122")]  # fmt: skip


def test_two_drivers_do_not_work_on_one_grid(grid, tmp_path):
    (tmp_path / "exp" / "ablation").mkdir()
    with open(tmp_path / "exp" / "ablation" / "driver.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = grid(*SMALL, code=1)
    assert done.stderr == f"run_ablation.sh: ERROR: another run_ablation.sh is running on {tmp_path}/exp/ablation\n"
    assert done.calls == []


def test_more_seeds_are_more_cells_and_the_first_is_kept(grid, tmp_path):
    grid(*SMALL, "--starts", "scratch")
    done = grid(*SMALL, "--starts", "scratch", "--repeats", "2")
    assert [line for line in done.calls if "--seed 1 " in line and line.startswith("train-resnet")]
    assert count(done) == {"train-resnet": 2, "predict-emotion": 1, "score-loso": 1, "make-report": 1}
    deals = [(tmp_path / f"exp/ablation/folds/exp1/{seed}/utt2fold").read_text() for seed in (0, 1)]
    assert deals[0] != deals[1]


def test_status_of_no_grid_is_one_line(grid):
    assert "plan is missing (no grid was started there)" in grid("--status", code=1).stderr


def test_submitted_stages_run_in_order_and_failed_ones_again(grid, tmp_path):
    (tmp_path / "calls.broken").write_text("")
    words = (*SMALL, "--cmd", "run-slurm", "--submit")
    done = grid(*words)
    assert done.stdout.endswith("submitted: trunk 1, heads 2, scratch 3, scores 4, report 5\n")
    wait_for_arrays(tmp_path)
    calls = (tmp_path / "calls").read_text().splitlines()
    names = [line.split()[0] for line in calls]
    assert names.index("embed-segments") < names.index("transfer-head") < names.index("predict-emotion")
    assert names[-1] == "make-report"
    dependencies = [array_call(tmp_path, n)[1].get("--dependency", "") for n in "12345"]
    assert dependencies == ["", "afterany:1", "", "afterany:2:3", "afterany:4"]
    assert (
        "scores/exp1/scratch-plain-pooled/0 needs scratch/exp1/plain-pooled/0/2"
        in (tmp_path / "exp/ablation/log/scores.2.log").read_text()
    )
    rows = [line.split()[:6] for line in grid("--status", code=1).stdout.splitlines()[1:]]
    assert rows[3:] == [["scratch", "1", "0", "0", "1", "0"], ["scores", "1", "0", "0", "0", "1"]]

    (tmp_path / "calls.broken").unlink()
    assert grid(*words).stdout.endswith("submitted: trunk -, heads -, scratch 6, scores 7, report 8\n")
    wait_for_arrays(tmp_path)
    assert array_call(tmp_path, "6")[1]["--array"] == "2"
    assert [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()] == [
        "train-resnet", "predict-emotion", "score-loso", "make-report",
    ]  # fmt: skip
    assert grid(*words).stdout == "submitted: trunk -, heads -, scratch -, scores -, report -\n"


def test_status_names_cancelled_and_counts_queued_tasks(grid, tmp_path):
    """What was cancelled is left and named, once the queue is empty; the same call then submits it, alone."""
    reason = tmp_path / "slurm" / "reason"
    reason.write_text("Priority")
    words = (*SMALL, "--starts", "scratch", "--cmd", "run-slurm")
    grid(*words, "--submit")
    rows = [line.split()[:6] for line in grid("--status").stdout.splitlines()[1:]]
    assert rows == [["folds", "1", "0", "0", "0", "0"], ["scratch", "0", "0", "2", "0", "0"],
                    ["scores", "0", "0", "1", "0", "0"]]  # fmt: skip
    (tmp_path / "slurm" / "state" / "1" / "2.cancel").touch()
    reason.unlink()
    wait_for_arrays(tmp_path)
    told = grid("--status", code=1)
    name = "scratch/exp1/plain-pooled/0/2"
    said = [line for line in told.stderr.splitlines() if "cancelled" in line]
    assert said == [f"units: ERROR: {name} was cancelled or killed, see {tmp_path}/exp/ablation/log/{name}.log"]
    assert f"units: ERROR: 2 left and nothing runs them: {name}, scores/" in told.stderr
    grid(*words)  # a driver now: each unit once, and all is done at its end
    assert array_call(tmp_path, "4")[1]["--array"] == "2"
    assert grid("--status").stderr == ""


def test_a_cancelled_task_is_not_resubmitted_in_its_call(grid, tmp_path):
    words = (*SMALL, "--starts", "scratch", "--cmd", "run-slurm")
    (tmp_path / "slurm" / "reason").write_text("Priority")
    grid(*words, "--submit")

    def cancel_once_the_driver_waits():
        while not is_locked(tmp_path / "exp/ablation/log/scratch.JOB.log.slurm"):
            time.sleep(0.05)
        (tmp_path / "slurm" / "state" / "1" / "1.cancel").touch()
        (tmp_path / "slurm" / "reason").unlink()

    canceller = threading.Thread(target=cancel_once_the_driver_waits, daemon=True)
    canceller.start()
    done = grid(*words, code=1)
    canceller.join()
    assert count(done)["train-resnet"] == 1, done.calls
    assert "WARNING: job 1_1: CANCELLED" in done.stderr
    assert "2 left and nothing runs them: scratch/exp1/plain-pooled/0/1, scores/" in done.stderr
    assert count(grid(*words)) == {"train-resnet": 1, "predict-emotion": 1, "score-loso": 1, "make-report": 1}


def is_locked(path):
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def array_call(tmp_path, number):
    return json.loads((tmp_path / "slurm" / "state" / number / "call.json").read_text())


def wait_for_arrays(tmp_path):
    tasks = (tmp_path / "slurm" / "state").glob
    wait_for(lambda: not any(path.read_text() in ("PENDING", "RUNNING") for path in tasks("*/[0-9]")))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["what"], "unexpected argument 'what' (see run_ablation.sh --help)"),
        (["--pooling", "mean"], "--pooling: 'mean' is not one of pooled fixed"),
        (["--experiments", "exp9"], "/conf/labels.exp9 is missing"),
        (["--data", "data/nosuch"], "/data/nosuch/feats.scp is missing (the recipe's run.sh makes it)"),
        (["--init", "nosuch.pt"], "/nosuch.pt is missing (--init MODEL: a speaker network)"),
        (["--draws-conf", "nosuch.conf"], "/nosuch.conf is missing"),
    ],
)
def test_a_wrong_call_is_one_line_and_leaves_nothing(grid, tmp_path, words, message):
    done = grid(*words, code=1)
    assert done.stderr.startswith("run_ablation.sh: ERROR: ") and done.stderr.endswith(f"{message}\n"), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "exp" / "ablation").exists()


@pytest.mark.parametrize("recipe", ["emodb", "iemocap", "mini"])
def test_the_recipes_own_script_reads_its_conf(recipe, tmp_path):
    script = ROOT / "egs" / recipe / "local" / "run_ablation.sh"
    done = subprocess.run([script, "--work", "here"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    data = "emodb" if recipe == "emodb" else "all"
    assert done.stderr == (
        f"run_ablation.sh: ERROR: {tmp_path}/here/data/{data}/feats.scp is missing (the recipe's run.sh makes it)\n"
    )
    assert done.returncode == 1
    told = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60).stdout
    text = (COMMON / "steps" / "run_ablation.sh").read_text()
    defaults = text[text.index("\nrecipe=") : text.index(". sertk_options.sh")]
    names = [word.partition("=")[0] for word in defaults.split() if "=" in word]
    assert len(names) > 15
    for name in set(names) - {"recipe", "stamp"}:
        assert f"--{name.replace('_', '-')} " in told, name
