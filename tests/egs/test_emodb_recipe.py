"""egs/emodb/run.sh from the folds on, with two training runs, on a toy of three sessions (slow)."""

import json
import os
import subprocess

import pytest
import sandbox
from support import ROOT

CONFS = {
    "draws": "--draws=2\n--chunk-frames=20\n--augment=none\n",
    "head": "--epochs=1\n",
    "scratch": "--channels=2\n--blocks=1,1,1,1\n--embedding-dim=4\n--chunk-frames=20\n--augment=none\n--epochs=1\n",
    "finetune": "--chunk-frames=20\n--augment=none\n--epochs=1\n",
}


@pytest.mark.slow
def test_every_stage_trains_each_fold_of_each_run(tmp_path):
    toy, work = sandbox.make(tmp_path / "toy"), tmp_path / "work"
    scp = toy / "data/all/feats.scp"
    scp.write_text(scp.read_text().replace(" data/", f" {toy}/data/"))
    (work / "data").mkdir(parents=True)
    (work / "data/emodb").symlink_to(toy / "data/all")
    confs = []
    for name, text in CONFS.items():
        (tmp_path / f"{name}.conf").write_text(text)
        confs += [f"--{name}-conf", tmp_path / f"{name}.conf"]
    line = [ROOT / "egs/emodb/run.sh", "--stage", "5", "--init", toy / "exp/resnet34/final.pt", "--work", work, *confs]
    line += ["--repeats", 2]
    done = subprocess.run(
        list(map(str, line)), env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for system in ("emodb", "emodb_scratch", "emodb_finetune"):
        assert len(list((work / "exp" / system).glob("seed[01]/[123]/final.pt"))) == 6
        found = json.loads((work / "exp" / system / "results.json").read_text())
        assert (len(found["folds"]), found["runs"]["names"]) == (3, ["seed0", "seed1"])
        assert len(list((work / "exp" / system).glob("seed[01]/log/predict.1.log"))) == 2
    assert "sertk: from scratch" in (work / "exp/RESULTS").read_text()
    assert "2 training runs" in (work / "exp/RESULTS").read_text()
    assert (work / "exp/report/report.html").exists()
