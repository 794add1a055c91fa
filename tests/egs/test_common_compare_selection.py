"""compare_selection.sh: heads by two more selection rules, scored beside those of the last epoch."""

import json
import os
import subprocess

import pytest
import sandbox
from support import ROOT

from sertk.report.selection import selection_table
from sertk.report.systems import find_experiments

COMMON = ROOT / "egs" / "common"


def compare(*words, cwd, code=0):
    path = f"{COMMON}/steps:{COMMON}/utils:{ROOT}/bin:{os.environ['PATH']}"
    done = subprocess.run(["compare_selection.sh", *map(str, words)], cwd=cwd, env=os.environ | {"PATH": path},
                          capture_output=True, text=True, timeout=600)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def test_missing_input_is_one_line(tmp_path):
    done = compare("nosuch.pt", "feats.scp", "draws.scp", "folds", "exp/exp1", cwd=tmp_path, code=1)
    assert done.stderr == "compare_selection.sh: ERROR: nosuch.pt is missing\n"
    assert not list(tmp_path.iterdir())
    for name in ("m.pt", "feats.scp", "draws.scp", "folds/utt2fold"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for option in ("--config", "--data"):
        done = compare(option, "nosuch", "m.pt", "feats.scp", "draws.scp", "folds", "exp/exp1", cwd=tmp_path, code=1)
        assert done.stderr == "compare_selection.sh: ERROR: nosuch is missing\n"
    assert not (tmp_path / "exp").exists()


@pytest.mark.slow
def test_three_rules_stand_side_by_side(tmp_path, call, monkeypatch):
    toy = sandbox.make(tmp_path / "toy")
    monkeypatch.chdir(toy)
    (toy / "draws.conf").write_text("--draws=3\n--chunk-frames=20\n--num-threads=1\n")
    (toy / "head.conf").write_text("--epochs=3\n--num-threads=1\n")
    model, feats = "exp/resnet34/final.pt", "data/all/feats.scp"
    call("make-folds", "--label-map", "conf/labels.exp3", "data/all", "three/exp3/folds")
    call("embed-segments", "--config", "draws.conf", model, f"scp:{feats}", "ark,scp:d.ark,d.scp")
    call("transfer-head", "--config", "head.conf", model, "scp:d.scp", "three/exp3/folds/utt2label", "three/exp3/folds/utt2fold",
         "three/exp3")  # fmt: skip
    for fold in sandbox.FOLDS:
        call("predict-emotion", "--utt2fold", "three/exp3/folds/utt2fold", "--fold", fold, f"three/exp3/{fold}/final.pt",
             f"scp:{feats}", f"ark:three/exp3/{fold}/scores.ark")  # fmt: skip
    call("score-loso", "--json", "three/exp3/results.json", "three/exp3/folds/utt2label", "three/exp3/folds/utt2fold",
         "three/exp3")  # fmt: skip
    compare(
        "--config", "head.conf", "--data", "data/all", model, feats, "d.scp", "three/exp3/folds", "three/exp3", cwd=toy
    )
    for rule, stamps in (("", []), ("_dev-session", []), ("_oracle", ["LEAKY"])):
        found = json.loads((toy / "three" / f"exp3{rule}" / "results.json").read_text())
        assert found["stamps"] == stamps and found["select"] == (rule[1:] or "last")
    (experiment,) = find_experiments(toy / "three")
    table = selection_table(experiment)
    assert [row[1] for row in table.rows] == ["last", "dev-session", "oracle LEAKY"]
