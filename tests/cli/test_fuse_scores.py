"""fuse-scores: the mean of systems in an experiment folder, which the leak guard checks like theirs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sertk.kaldi.tables import read_manifest, read_table, table_writer

FOLDS = ("1", "2", "3")


def scores(folder):
    return {key: row for fold in FOLDS for key, row in read_table(f"ark:{folder}/{fold}/scores.ark", kind="vector")}


def test_two_systems_are_averaged(call, box):
    call(
        "fuse-scores",
        "--average",
        "linear",
        "--weights",
        "3,1",
        "exp/folds",
        "exp/transfer",
        "exp/scratch",
        "exp/fusion",
    )
    one, other, fused = scores("exp/transfer"), scores("exp/scratch"), scores("exp/fusion")
    assert fused.keys() == one.keys()
    assert all(fused[key] == pytest.approx(0.75 * one[key] + 0.25 * other[key], abs=1e-6) for key in fused)
    settings = read_manifest("ark:exp/fusion/1/scores.ark").settings
    assert settings["fusion"] == {"average": "linear", "weights": {"exp/transfer": 3.0, "exp/scratch": 1.0}}
    assert [part["trained_on"]["fold"] for part in settings["fused"]] == ["1", "1"]
    lists = ("exp/folds/utt2label", "exp/folds/utt2fold")
    results = {}
    for system in ("fusion", "transfer"):
        call("score-loso", "--json", f"{system}.json", *lists, f"exp/{system}")
        results[system] = json.loads(Path(f"{system}.json").read_text())
    # The guard has seen the same networks.
    assert all(results["fusion"][name] == results["transfer"][name] for name in ("guard", "stamps", "select"))
    reasons = [{reason.partition(": ")[2] for reason in found["unchecked"]} for found in results.values()]
    assert reasons[0] == reasons[1] != set()


def test_runs_of_one_system_become_an_ensemble(call, box):
    for seed, name in enumerate(("transfer", "scratch")):
        shutil.copytree(f"exp/{name}", f"exp/seeds/seed{seed}")
    call("fuse-scores", "exp/folds", "exp/seeds", "exp/ensemble")
    one, other, fused = scores("exp/transfer"), scores("exp/scratch"), scores("exp/ensemble")
    for key, row in fused.items():
        product = np.sqrt(one[key] * other[key])
        assert row == pytest.approx(product / product.sum(), abs=1e-5)
    # A fusion with one of the runs: the ensemble has as much weight as that.
    call("fuse-scores", "--average", "linear", "exp/folds", "exp/seeds", "exp/transfer", "exp/fusion")
    key = next(iter(fused))
    expected = 0.75 * one[key] + 0.25 * other[key]
    assert scores("exp/fusion")[key] == pytest.approx(expected, abs=1e-6)


def test_a_leak_of_one_system_is_the_fusions(call, box):
    """One of two systems says that it was trained on what it is tested on."""
    shutil.copytree("exp/scratch", "exp/leaky")
    settings = read_manifest("ark:exp/leaky/2/scores.ark").settings
    rows = list(read_table("ark:exp/leaky/2/scores.ark", kind="vector"))
    settings["trained_on"]["keys"].append(rows[0][0])
    with table_writer("ark:exp/leaky/2/scores.ark", kind="vector", settings=settings) as write:
        for key, row in rows:
            write(key, row)
    call("fuse-scores", "exp/folds", "exp/transfer", "exp/leaky", "exp/fusion")
    result = call("score-loso", "exp/folds/utt2label", "exp/folds/utt2fold", "exp/fusion", code=1)
    assert f"exp/fusion/2/scores.ark: test segment {rows[0][0]} in its training" in result.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["exp/folds", "exp/transfer", "exp/fusion"], 1, "exp/transfer: a single run: there is nothing to fuse"),
        (["--weights", "1", "exp/folds", "exp/transfer", "exp/scratch", "x"], 1, "1 weights for 2 systems"),
        (
            ["--weights", "-1,1", "exp/folds", "exp/transfer", "exp/scratch", "x"],
            2,
            "not a comma-separated list of weights",
        ),
        (["--weights", "0,0", "exp/folds", "exp/transfer", "exp/scratch", "x"], 1, "and not all 0"),
        (["exp/folds", "exp/transfer", "exp/scratch", "exp/scratch"], 2, "DIR exp/scratch is one of the systems"),
    ],
)
def test_what_cannot_be_fused_is_one_line(call, box, words, code, message):
    assert message in call("fuse-scores", *words, code=code).err
