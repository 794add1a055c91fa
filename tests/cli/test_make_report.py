"""make-report as a user calls it."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from support import ROOT

from sertk.kaldi.tables import read_manifest, read_table, table_writer


@pytest.fixture
def made(stamped_folder, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(stamped_folder / "exp", tmp_path / "exp")
    return tmp_path


def test_the_same_folder_gives_the_same_page(call, stamped_folder, page, tmp_path, undrawn):
    """But for the figures, whose bytes tests/report/test_drawing.py compares."""
    result = call("make-report", "--data", stamped_folder / "data", stamped_folder / "exp", tmp_path / "out")
    assert result.err == f"make-report: wrote {tmp_path}/out/report.html\n"
    text, expected = (re.sub(r"<svg.*?</svg>\s*", "", html, flags=re.DOTALL)
                      for html in ((tmp_path / "out" / "report.html").read_text(), page[0]))  # fmt: skip
    assert text == expected and (tmp_path / "out" / "report.md").read_text() == page[1]


def test_a_system_that_was_trained_and_not_scored_is_named(made):
    from sertk.report.build import _absent

    (made / "exp" / "exp3" / "results.json").unlink()
    (made / "exp" / "exp3" / "1" / "final.pt").touch()
    said = [item.text for item in _absent(made / "exp", None, None, None).items]
    assert said[0] == "exp3: has models but no results.json (run score-loso --json)."


def test_what_is_not_there_is_said(page, call, stamped_folder, tmp_path, undrawn):
    assert "Ablation (the paper's Figure 4): no results in exp/ablation." in page[1]
    call("make-report", "--mistakes", 0, stamped_folder / "exp" / "exp1_scratch", tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "no data folder was given (--data)" in text and "## Most confident errors" not in text
    # Alone, it is not compared with transfer.
    assert "exp1_scratch, one training run" in text.replace("\\", "") and "without transfer" not in text
    assert (
        "needs --data" in call("make-report", "--audio", "true", stamped_folder / "exp", tmp_path / "out", code=2).err
    )


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def retrain(folder, keys):
    """Write a fold's scores anew with a manifest that says that it was trained on `keys`."""
    settings = read_manifest(f"ark:{folder}/scores.ark").settings
    settings["trained_on"]["keys"] = keys
    vectors = list(read_table(f"ark:{folder}/scores.ark", kind="vector"))
    with table_writer(f"ark:{folder}/scores.ark", kind="vector", settings=settings) as write:
        for key, vector in vectors:
            write(key, vector)


def test_a_leak_is_refused_and_stamped_where_the_user_knows(call, made, undrawn):
    folder = made / "exp" / "exp1" / "2"
    key = next(key for key, _ in read_table(f"ark:{folder}/scores.ark", kind="vector"))
    retrain(folder, [key])
    result = call("make-report", made / "exp", made / "out", code=1)
    assert f"test segment {key} in its training" in result.err and len(result.err.splitlines()) == 1
    assert not (made / "out").exists()
    call("make-report", "--i-know", "true", made / "exp", made / "out")
    text = (made / "out" / "report.md").read_text()
    assert text.startswith("# Emotions from speech: Exp 1, Exp 3 [LEAKY] [SIMULATED]\n")
    assert "**Table 3. Exp 3 (angry, happy + excited, neutral, sad) [SIMULATED]**" in text
    assert f"test segment {key} in its training" in text.replace("\\", "")


def test_experiments_of_different_schemes_are_refused(call, made):
    change(made / "exp" / "exp3" / "folds" / "scheme.json", part="improvised")
    result = call("make-report", made / "exp", made / "out", code=1)
    message = (
        "experiments of one report were scored with different schemes: exp1 by loso (all part) and exp3 by loso (impro"
    )
    assert message in result.err


def test_speaker_dependent_results_stand_beside_no_published(call, made, undrawn):
    for name in ("exp1", "exp3"):
        change(made / "exp" / name / "folds" / "scheme.json", scheme="stratified", speaker_independent=False)
    call("make-report", made / "exp", made / "out")
    text = (made / "out" / "report.md").read_text()
    assert text.startswith("# Emotions from speech: Exp 1, Exp 3 [SIMULATED] [SPEAKER-DEPENDENT]\n")
    assert "BLSTM" not in text and "Published results are not shown" in text


def spoil_scores(folder):
    manifest = read_manifest(f"ark:{folder}/1/scores.ark")
    vectors = list(read_table(f"ark:{folder}/1/scores.ark", kind="vector"))
    with table_writer(f"ark:{folder}/1/scores.ark", kind="vector", settings=manifest.settings) as write:
        for key, vector in vectors:
            write(key, np.roll(vector, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda exp: shutil.rmtree(exp), "exp: is not a folder"),
        (lambda exp: [path.unlink() for path in exp.glob("*/results.json")], "exp: no results.json of score-loso"),
        (lambda exp: (exp / "exp1" / "results.json").write_text("{"), "exp1/results.json: not JSON"),
        (lambda exp: (exp / "exp1" / "results.json").write_text("[]"), "exp1/results.json: not a JSON object"),
        (
            lambda exp: (exp / "exp1" / "results.json").write_text('{"confusion": 0}'),
            "exp1/results.json: not written by",
        ),
        (lambda exp: shutil.rmtree(exp / "exp1" / "folds"), "exp1: has results.json but no folds/utt2fold"),
        (lambda exp: (exp / "exp3" / "4" / "scores.ark").unlink(), "is in the test set but not scored"),
        (
            lambda exp: spoil_scores(exp / "exp1_scratch"),
            "exp1_scratch/results.json: does not match the current scores",
        ),
        (lambda exp: (exp / "exp1" / "5" / "train.jsonl").write_text("{}\n7\n"), "5/train.jsonl:2: not a JSON object"),
    ],
)
def test_what_is_missing_or_broken_is_named_in_one_line(call, made, damage, message):
    damage(made / "exp")
    result = call("make-report", made / "exp", made / "out", code=1)
    assert message in result.err and len(result.err.splitlines()) == 1
    assert not (made / "out").exists()


def test_help_needs_no_heavy_library(shell):
    line = "import sys, sertk.cli.make_report; print({'numpy', 'matplotlib', 'jinja2', 'torch'} & set(sys.modules) or 'none')"
    assert shell(f'{sys.executable} -c "{line}"', PYTHONPATH=str(ROOT)).text == "none\n"


def test_an_ablation_that_stands_alone_is_a_report(call, tmp_path, undrawn):
    cell = tmp_path / "exp" / "ablation" / "exp1" / "transfer-masks-pooled" / "0"
    cell.mkdir(parents=True)
    (cell / "cell.json").write_text(
        '{"experiment": "exp1", "transfer": true, "masks": true, "pooling": true, "seed": 0}'
    )
    results = {"scheme": "stratified", "stamps": ["SPEAKER-DEPENDENT"], "folds": {"1": {"wa": 0.5}, "2": {"wa": 0.75}}}
    interval = {"clusters": 10, "units": 10, "wa": [0.5, 0.75]}
    (cell / "results.json").write_text(json.dumps(results | {"unit": "utt2spk", "intervals": {"utt2spk": interval}}))
    call("make-report", tmp_path / "exp", tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| exp1 | TL + Aug + SP | 62.50 | 17.68 | 2 | 50.0–75.0 |" in text
    assert "SPEAKER-DEPENDENT" in text.splitlines()[0]
