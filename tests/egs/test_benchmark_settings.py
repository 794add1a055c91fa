"""egs/benchmark --conf DIR: which files each system reads, and what is said of those that are missing."""

import os
import re
import subprocess

import pytest
from support import ROOT

BENCHMARK = ROOT / "egs/benchmark"
SYSTEMS = sorted(path.stem for path in (BENCHMARK / "local/systems").glob("*.sh"))
# Those without settings; openSMILE's SVM and fusions choose theirs by themselves.
WITHOUT = {"opensmile-compare", "opensmile-egemaps", "fusion"}


def declared(system):
    lines = (BENCHMARK / f"local/systems/{system}.sh").read_text().splitlines()
    return {name for line in lines if line.startswith("# Settings: ") for name in line.split()[2:]}


@pytest.fixture
def settings_read(tmp_path):
    """settings_read("frozen"): the files of conf/ that a system names in its calls, of stand-ins that list them."""
    stubs, data, folds = (tmp_path / name for name in ("stubs", "data", "folds"))
    for folder in (stubs, data, folds, data / "raw", data / "perturbed"):
        folder.mkdir()
    for name in ("runner", "make_feats.sh", "combine-data", "perturb-data", "train_folds.sh", "predict_folds.sh"):
        (stubs / name).write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
        (stubs / name).chmod(0o755)
    for path in (folds / "utt2fold", folds / "utt2label", data / "perturbed/utt2uniq", data / "perturbed/utt2spk"):
        path.write_text("a 1\nb 2\nc 3\n")
    (folds / "labels.txt").touch()
    (tmp_path / "v.scp").write_text("a v.ark:2\n")
    environment = os.environ | {"train_cmd": "runner", "feats_cmd": "runner", "SERTK_ROOT": str(ROOT)}
    environment["PATH"] = f"{stubs}:{ROOT}/egs/common/utils:{os.environ['PATH']}"

    def read(system):
        (tmp_path / "calls").write_text("")
        words = ["--what", "scp:v.scp", "--init", "i.pt", "--level-init", "l.pt", "data", "folds", "out"]
        line = [BENCHMARK / f"local/systems/{system}.sh", *words]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"(?<=conf/)\S+", (tmp_path / "calls").read_text()))

    return read


def test_each_system_names_the_settings_that_it_reads(settings_read):
    for system in set(SYSTEMS) - WITHOUT:
        assert settings_read(system) == declared(system) != set(), system
    assert not any(map(declared, WITHOUT))


def test_the_recipes_own_settings_are_those_of_its_systems():
    named = set().union(*map(declared, SYSTEMS))
    assert named == {path.name for path in (BENCHMARK / "conf").iterdir()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--conf nosuch", "--conf: there is no folder {here}/nosuch"),
        ("--systems frozen --init model", "--conf: cannot read {here}/conf/head.conf (frozen needs it)"),
        ("--systems level", "--conf: cannot read {here}/conf/level.conf (level needs it)"),
        ("--systems level --stage 7 --cross", "--conf: cannot read {here}/conf/level.conf (level needs it)"),
        ("--systems frozen-stats --init no.pt", "--init: cannot read {here}/no.pt"),
        ("--systems level-finetune --level-init no.pt", "--level-init: cannot read {here}/no.pt"),
        ("--systems v=scp:CORPUS.scp", "v: cannot read {here}/one.scp"),
    ],
)
def test_missing_settings_stop_the_recipe_before_it_starts(tmp_path, words, message):
    (tmp_path / "conf").mkdir()
    for name in ("conf/draws.conf", "model"):
        (tmp_path / name).touch()
    line = [BENCHMARK / "run.sh", "--manifest", "one=one.csv", "--work", "work", "--conf", "conf", *words.split()]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    expected = f"run.sh: ERROR: {message.format(here=tmp_path)}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    assert not (tmp_path / "work").exists()


def test_features_of_other_settings_or_none_stop_the_recipe(tmp_path):
    """Where they are read: by the systems, and with --cross later; not where the table alone is printed."""
    feats = tmp_path / "work/data/one/feats"
    feats.mkdir(parents=True)
    for name in ("one.pt", "two.pt", "two.fbank.conf"):
        (tmp_path / name).touch()

    def call(*words):
        line = [BENCHMARK / "run.sh", "--manifest", "one=one.csv", "--work", "work", "--systems", "scratch", *words]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60).stderr

    missing = f"run.sh: ERROR: {feats.parent}/feats.scp is missing (stage 2 makes it)\n"
    own = (ROOT / "egs/common/conf/fbank.conf").read_text()
    (feats / "fbank.conf").write_text(f"{own}--allow-resample=true\n")
    other = f"run.sh: ERROR: {feats.parent}/feats.scp: computed with other settings ({feats}/fbank.conf) than those of this call"
    for words, reads in ((("--stage", "4"), True), (("--stage", "5"), False), (("--stage", "7", "--cross"), True)):
        assert (call(*words, "--init", "one.pt") == missing) == reads, words
        assert call(*words, "--init", "two.pt").startswith(other) == reads, words
