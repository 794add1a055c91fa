"""run.sh --repeats: a folder for each seed, scored as one system; a stand-in for runner and scorer lists the calls."""

import os
import subprocess

import pytest
from support import ROOT

BINARIES = ("embed-segments", "transfer-head", "train-resnet", "predict-emotion", "score-loso")
STAGES = {"iemocap": ("exp1", 4, 7), "emodb": ("emodb", 6, 7)}


@pytest.fixture
def recipe(tmp_path):
    """Call the heads and the training from scratch of a recipe: recipe("iemocap", "--repeats", 2) -> calls."""
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/egs").mkdir()
    (tmp_path / "root/egs/common").symlink_to(ROOT / "egs/common")
    folders = 'for word; do case $word in *.log) mkdir -p "${word%/*}";; */seed?) mkdir -p "$word";; esac; done\n'
    for name in ("runner", "score-loso"):
        (tmp_path / "root/bin" / name).write_text(f'#!/bin/sh\n{folders}echo {name} "$@" >>{tmp_path}/calls\n')
        (tmp_path / "root/bin" / name).chmod(0o755)
    (tmp_path / "calls").touch()

    def call(name: str, *options, code: int = 0) -> list[str]:
        system, first, last = STAGES[name]
        folds, data = tmp_path / "exp" / system / "folds", tmp_path / "data" / ("all" if name == "iemocap" else "emodb")
        for path in (folds / "utt2fold", data / "feats.scp", tmp_path / "init.pt"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a 1\nb 2\n")
        words = ["--work", tmp_path, "--init", tmp_path / "init.pt", "--stage", first, "--stop-stage", last]
        words += ["--exp", "1", "--scratch", "true"] if name == "iemocap" else []
        line = [ROOT / "egs" / name / "run.sh", *words, *options]
        environment = os.environ | {"SERTK_ROOT": str(tmp_path / "root"), "train_cmd": "runner"}
        done = subprocess.run(list(map(str, line)), env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stderr if code else (tmp_path / "calls").read_text().replace(f"{tmp_path}/", "").splitlines()

    return call


@pytest.mark.parametrize("name", ["iemocap", "emodb"])
def test_repeats_train_a_folder_for_each_seed(recipe, name):
    system, ends = STAGES[name][0], {}
    calls = recipe(name, "--seed", 3, "--repeats", 2)
    for call in calls:
        binary = next(word for word in BINARIES if f" {word} " in f" {call} ")
        ends.setdefault(binary, []).append((call.partition(" --seed ")[2][:1], call.split()[-1]))
    folders = [f"exp/{system}", f"exp/{system}_scratch"]
    runs = [[(seed, f"{folder}/seed{seed}") for seed in "34"] for folder in folders]
    draws = [f"scp:exp/draws/seed{seed}/draws.scp" for seed in "34"]
    assert [end.rpartition(",")[2] for _, end in ends["embed-segments"]] == [name.partition(":")[2] for name in draws]
    assert [word for call in calls for word in call.split() if word.startswith("scp:exp/draws")] == draws
    assert ends["transfer-head"] == runs[0]
    assert ends["train-resnet"] == [(seed, f"{run}/FOLD") for seed, run in runs[1]]
    assert [end for _, end in ends["predict-emotion"]] == [
        f"ark:{run}/FOLD/scores.ark" for each in runs for _, run in each
    ]
    assert [end for _, end in ends["score-loso"]] == folders


def test_one_run_has_no_folder_of_its_own(recipe):
    calls = recipe("iemocap")
    assert [call.split()[-1] for call in calls if "transfer-head" in call] == ["exp/exp1"]
    assert not any("/seed" in call for call in calls)


def test_heads_of_all_experiments_are_one_job_for_each_seed(recipe):
    calls = recipe("iemocap", "--exp", "1 3", "--repeats", 2, "--stop-stage", 5)
    sets = [
        " ".join(f"exp/exp{n}/folds/utt2label exp/exp{n}/folds/utt2fold exp/exp{n}/seed{seed}" for n in (1, 3))
        for seed in (0, 1)
    ]
    heads = [call for call in calls if "transfer-head" in call]
    assert [call.partition("draws.scp ")[2] for call in heads] == sets


def test_other_number_of_runs_in_same_folder_is_refused(recipe, tmp_path):
    (tmp_path / "exp/exp1/1").mkdir(parents=True)
    (tmp_path / "exp/exp1/1/final.pt").touch()
    err, work = recipe("iemocap", "--repeats", 2, code=1), f"{tmp_path}/exp"
    assert err == f"run.sh: ERROR: {work}/exp1 has a single training run: move it away, or give another --work\n"
    (tmp_path / "exp/exp1/1/final.pt").unlink()
    err = recipe("iemocap", code=1)
    assert err == f"run.sh: ERROR: {work}/draws has several training runs: give --repeats, or another --work\n"
    err = recipe("iemocap", "--seed", 1, "--repeats", 2, code=1)
    reason = "is no training run of this call: give the seeds of all runs, or move it away"
    assert err == f"run.sh: ERROR: {work}/draws/seed0 {reason}\n"
    err = recipe("iemocap", "--repeats", "many", code=1)
    assert err == "run.sh: ERROR: --repeats is a number of 1 or more, not 'many'\n"
