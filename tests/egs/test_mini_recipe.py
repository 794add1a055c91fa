"""The mini recipe: called wrongly, its table, and (slow) all of it."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
from scoredsystems import RIGHT, write_scores, write_system, write_test
from support import ROOT

MINI = ROOT / "egs" / "mini"


def run(*words, cwd, script=MINI / "run.sh", timeout=60):
    line = [str(script), *map(str, words)]
    return subprocess.run(line, cwd=cwd, env=dict(os.environ), capture_output=True, text=True, timeout=timeout)


def test_help_is_the_header_and_a_wrong_option_is_one_line(tmp_path):
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Both real recipes on SIMULATED speech")
    done = run("--nosuch", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "run.sh: ERROR: there is no option --nosuch (see run.sh --help)\n")


def test_a_later_stage_without_the_corpus_says_what_makes_it(tmp_path):
    done = run("--stage", "2", "--corpus", "nosuch", "--work", "exp", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"run.sh: ERROR: {tmp_path}/nosuch/SIMULATED is missing (stage 1 makes it)\n"


@pytest.fixture
def results(tmp_path):
    """The results and scores of a run of experiments 1 and 3, without their networks."""
    speakers, trials = tmp_path / "voxceleb/exp/resnet34_lm/trials", tmp_path / "voxceleb/data/test/trials_O"
    for path in (speakers, trials.parent):
        path.mkdir(parents=True)
    # Eight pairs of each kind. One score in eight of both is on the wrong side, or none.
    kinds = ["target"] * 8 + ["nontarget"] * 8
    trials.write_text("".join(f"a{n} b{n} {kind}\n" for n, kind in enumerate(kinds)))
    for name, wrong in (("O", (7, 8)), ("O_asnorm", ())):
        scores = [int((n < 8) != (n in wrong)) for n in range(16)]
        (speakers / f"{name}.scores").write_text("".join(f"a{n} b{n} {score}\n" for n, score in enumerate(scores)))
        (speakers / f"{name}.json").write_text(json.dumps({"eer": len(wrong) / 16, "trials": 16}))
    for name, wa in (("exp1", 0.7), ("exp1_scratch", 0.6), ("exp3", 0.654), ("exp3_scratch", 0.5)):
        write_system(tmp_path / "iemocap/exp" / name, wa=wa, ua=wa - 0.05, stamps=["SIMULATED"])
    for name in ("exp1", "exp3"):
        write_test(tmp_path / "iemocap/exp" / name / "folds")
    return tmp_path


def test_the_table_has_transfer_beside_no_transfer(shell, results):
    done = shell(f"PYTHONPATH={ROOT} {sys.executable} {MINI}/local/print_table.py .")
    assert done.text.startswith("SIMULATED speech")
    assert "equal error rate 12.50 % over 16 trials, 0.00 % with AS-Norm" in done.text
    assert re.search(r"^Exp 1: ang hap neu sad +70\.0 +65\.0 +60\.0 +55\.0$", done.text, re.M)
    assert re.search(r"^Exp 3: ang hap\+exc neu sad +65\.4 +60\.4 +50\.0 +45\.0$", done.text, re.M)
    assert "Exp 2" not in done.text


def test_results_of_real_speech_do_not_get_into_the_table(prepare, results):
    path = results / "iemocap" / "exp" / "exp1" / "results.json"
    path.write_text(path.read_text().replace("SIMULATED", "PARTIAL"))
    err = prepare("mini/local/print_table.py", results, code=1).err
    assert re.fullmatch(r"print-table: ERROR: .*exp1/results.json: is not stamped SIMULATED.*\n", err)


def test_results_of_earlier_scores_do_not_get_into_the_table(prepare, results):
    def refusal():
        return prepare("mini/local/print_table.py", results, code=1).err

    write_scores(results / "iemocap/exp/exp3_scratch", 1 - RIGHT)
    err = refusal()
    assert "exp3_scratch/results.json: does not match the current scores and folds: run score-loso again\n" in err
    scores = results / "voxceleb/exp/resnet34_lm/trials/O.scores"
    scores.write_text(scores.read_text().replace("a0 b0 1", "a0 b0 0"))
    err = refusal()
    assert "trials/O.json: does not match the current scores and trials: run score-trials again\n" in err
    scores.unlink()
    assert re.search(r"print-table: ERROR: .*O.scores: cannot be read", refusal())


@pytest.mark.slow
def test_the_whole_recipe_ends_well_above_chance(tmp_path):
    began = time.monotonic()
    done = run("--corpus", "corpus", "--work", "work", cwd=tmp_path, timeout=1800)
    assert done.returncode == 0, done.stderr
    print(f"{time.monotonic() - began:.0f} s")
    headlines = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert all("[SIMULATED]" in line for line in headlines)
    for name in ("exp1", "exp2", "exp3", "exp1_scratch", "exp2_scratch", "exp3_scratch"):
        found = json.loads((tmp_path / "work/iemocap/exp" / name / "results.json").read_text())
        assert found["mean"]["ua"] > 0.4, name
        assert found["stamps"] == ["SIMULATED"]
    trials = tmp_path / "work/voxceleb/exp/resnet34_lm/trials"
    calibrated = json.loads((trials / "O_quality.json").read_text())
    assert calibrated["calibration"]["quality"] == ["duration", "magnitude", "cohort"]
    assert calibrated["calibration"]["training_speakers"] == 0 and calibrated["cllr"] < 1
    assert (tmp_path / "work/RESULTS").read_text() in done.stdout
