"""egs/benchmark: what a protocol is worth and what perturbed audio costs; differences of conditions."""

import json
import os
import subprocess

import numpy as np
import pytest
from sandbox import write_voice
from scoredsystems import write_system, write_test
from support import ROOT

LOCAL = ROOT / "egs/benchmark/local"
NETWORK = "--channels=2\n--blocks=1,1,1,1\n--chunk-frames=20\n--augment=none\n--epochs=2\n"


def run(script, *words, cwd):
    path = f"{ROOT}/bin:{ROOT}/.venv/bin:{os.environ['PATH']}"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run([script, *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True)


def test_differences_worked_by_hand(here, prepare):
    """Of eight speakers the first condition has both segments right, the second loses the second segment of all."""
    folds = here / "folds"
    write_test(folds)
    write_system(here / "clean")
    write_system(here / "noisy", np.tile([0, 0], 8), stamps=["LEAKY"])
    script = "benchmark/local/differences.py"
    shown = prepare(script, "--title", "toy", "--json", "all.json", "folds", "clean=clean", "with noise=noisy").text
    assert "toy: 16 segments, a b; 8 speakers in 4 folds" in shown and "LEAKY" in shown
    clean, noisy = json.loads((here / "all.json").read_text())["conditions"]
    assert clean["differences"] == {} and (clean["ua"], noisy["ua"]) == (1.0, 0.5)
    assert noisy["intervals"]["wa"] == [0.4, 0.6]
    found = noisy["differences"]["ua"]
    low, high = found["interval"]
    assert found["value"] == -0.5 and low < -0.5 < high < 0
    assert found["p"] >= 2 ** (1 - 8)
    assert "p (Holm)" not in shown
    shown = prepare(script, "folds", "clean=clean", "noise=noisy", "same=clean").text
    assert shown.splitlines()[1].count("p (Holm)") == 2
    (here / "noisy/results.json").write_text((here / "clean/results.json").read_text())
    err = prepare(script, "folds", "clean=clean", "noise=noisy", code=1).err
    assert "noisy/results.json: does not match the current scores and folds" in err
    (folds / "utt2spk").unlink()
    assert "utt2spk: is missing" in prepare(script, "folds", "clean=clean", "noise=noisy", code=1).err


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("run_inflation.sh", [], "no corpus: give --corpora"),
        ("run_inflation.sh", ["--corpora", "one", "--work", "w"], "opensmile-egemaps/results.json is missing"),
        ("run_robustness.sh", ["--corpora", "one"], "give --corpora and --systems"),
        ("run_robustness.sh", ["--corpora", "one", "--systems", "x=scp:y"], "x is of vectors, which cannot be made of"),
        (
            "run_inflation.sh",
            ["--corpora", "one", "--systems", "level m=level+foreign"],
            "m=level+foreign: name foreign before it",
        ),
        (
            "run_robustness.sh",
            ["--corpora", "one", "--systems", "level scratch m=level+scratch:folds"],
            "m: fitted weights are not carried to",
        ),
        (
            "run_robustness.sh",
            ["--corpora", "one", "--systems", "level", "--work", "w"],
            "level/results.json is missing",
        ),
    ],
)
def test_wrong_calls_are_one_line(tmp_path, script, words, message):
    done = run(LOCAL / script, *words, cwd=tmp_path)
    assert done.returncode != 0 and message in done.stderr and len(done.stderr.splitlines()) == 1


def test_vectors_are_relative_to_the_callers_folder(tmp_path):
    done = run(LOCAL / "run_inflation.sh", "--corpora", "one", "--systems", "x=scp:y", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"run_inflation.sh: ERROR: x: cannot read {tmp_path}/y\n")


@pytest.mark.slow
def test_systems_under_every_protocol_and_perturbation(tmp_path):
    """A network in two runs, openSMILE and their fusion: tables, and sections of the report."""
    pytest.importorskip("opensmile")
    rows = ["file,speaker,emotion,gender"]
    for speaker in range(4):
        for number, label in enumerate(["ang", "sad"] * 2):
            write_voice(tmp_path / f"one/{speaker}-{number}.wav", 4 * speaker + number + 1)
            rows.append(f"{speaker}-{number}.wav,one{speaker},{label},{'mf'[speaker % 2]}")
    (tmp_path / "one/list.csv").write_text("\n".join(rows))
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings/level.conf").write_text("--input-norm=true\n" + NETWORK)
    (tmp_path / "settings/level.fbank.conf").write_text("--num-mel-bins=16\n--allow-resample=true\n")
    systems = "opensmile-egemaps level mix=opensmile-egemaps+level"
    options = ["--conf", "settings", "--work", "work", "--nj", 1]
    done = run(ROOT / "egs/benchmark/run.sh", "--manifest", "one=one/list.csv", "--num-folds", 2, "--stop-stage", 4,
               "--repeats", 2, "--systems", systems, *options, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    done = run(
        LOCAL / "run_inflation.sh", "--corpora", "one", "--systems", "level", "--stop-stage", 3, *options, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    exp = tmp_path / "work/exp/one"
    found = json.loads((exp / "inflation/level.json").read_text())["conditions"]
    assert [(row["name"], row["stamps"]) for row in found] == [
        ("speakers apart", []),
        ("speakers shared", ["SPEAKER-DEPENDENT"]),
        ("apart, epoch selected on the test", ["LEAKY"]),
        ("shared, epoch selected on the test", ["SPEAKER-DEPENDENT", "LEAKY"]),
    ]
    done = run(LOCAL / "run_robustness.sh", "--corpora", "one", "--conditions", "noise0 reverb", "--systems", systems, *options,
               cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = (exp / "robustness/RESULTS").read_text()
    conditions = ["clean", "noise, 0 dB", "reverberation"]
    assert all(line.startswith(f"{name}  ") for line, name in zip(table.splitlines()[2:5], conditions))
    for system in ("opensmile-egemaps", "level", "mix"):
        found = json.loads((exp / f"robustness/{system}.json").read_text())["conditions"]
        clean = json.loads((exp / system / "results.json").read_text())["pooled"]
        assert found[0]["ua"] == clean["ua"] and all(row["stamps"] == [] for row in found)
        for row in found[1:]:
            assert row["differences"]["ua"]["value"] == pytest.approx(row["ua"] - clean["ua"])
    assert len(list((exp / "robustness/noise0/level").glob("seed*/*/scores.ark"))) == 4
    report = (exp / "report/report.md").read_text()
    assert "## Effect of the protocol" in report and "## Perturbed test audio" in report
