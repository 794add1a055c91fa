"""--select of the recipes: heads by several rules, scored side by side."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import sandbox
from support import ROOT

from sertk.report.systems import find_experiments


def run(recipe, *words, cwd):
    line = [str(ROOT / "egs" / recipe / "run.sh"), *map(str, words)]
    return subprocess.run(line, cwd=cwd, env=dict(os.environ), capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("recipe", ["emodb", "iemocap"])
def test_a_rule_that_there_is_not_is_one_line(tmp_path, recipe):
    done = run(recipe, "--select", "last best", "--work", "work", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "run.sh: ERROR: --select: last, dev-session or oracle, not 'best'\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stages", "data", "name"), [("emodb", (6, 6), "emodb", "emodb"),
                                                               ("iemocap", (4, 6), "all", "exp3")])  # fmt: skip
def test_heads_of_three_rules_stand_side_by_side(tmp_path, call, recipe, stages, data, name):
    toy = sandbox.make(tmp_path / "toy")
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    if data != "all":
        (work / "data" / data).symlink_to(toy / "data/all")
    else:
        (work / "data").rmdir()
        (work / "data").symlink_to(toy / "data")
    scp = toy / "data/all/feats.scp"
    scp.write_text(scp.read_text().replace(" data/", f" {toy}/data/"))
    call("make-folds", "--label-map", toy / "conf/labels.exp3", toy / "data/all", work / "exp" / name / "folds")
    Path(tmp_path, "draws.conf").write_text("--draws=3\n--chunk-frames=20\n--num-threads=1\n")
    Path(tmp_path, "head.conf").write_text("--epochs=3\n--num-threads=1\n")
    confs = ("--draws-conf", tmp_path / "draws.conf", "--head-conf", tmp_path / "head.conf")
    exp = ("--exp", 3) if recipe == "iemocap" else ()
    done = run(recipe, "--stage", stages[0], "--stop-stage", stages[1], "--select", "last dev-session oracle",
               "--init", toy / "exp/resnet34/final.pt", "--work", work, *exp, *confs, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for rule, stamps in (("", []), ("_dev-session", []), ("_oracle", ["LEAKY"])):
        found = json.loads((work / "exp" / f"{name}{rule}" / "results.json").read_text())
        assert found["stamps"] == stamps and found["select"] == (rule[1:] or "last")
    (experiment,) = find_experiments(work / "exp")
    assert [system.name for system in experiment.systems] == [name, f"{name}_oracle", f"{name}_dev-session"]
