"""score-loso as a user calls it: figures, intervals, runs."""

import json
import re
import sys

import numpy as np
import pytest
from experiment import LABELS, Experiment, score
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from support import ROOT


@pytest.fixture
def made(tmp_path):
    return Experiment(tmp_path)


def expected(made):
    """WA and UA of each fold by scikit-learn."""
    found = []
    for fold in (1, 2, 3):
        utts = [utt for utt, n in made.folds.utt2fold.items() if n == fold]
        truth = [LABELS.index(made.utt2label[utt]) for utt in utts]
        guess = [int(np.argmax(made.posteriors[utt])) for utt in utts]
        found.append((accuracy_score(truth, guess), balanced_accuracy_score(truth, guess)))
    return found


def test_figures_are_scikit_learns_and_the_headline_their_mean(call, made, tmp_path):
    made.write()
    result = score(call, made, "--json", tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    folds = expected(made)
    assert [(fold["wa"], fold["ua"]) for fold in found["folds"].values()] == [pytest.approx(pair) for pair in folds]
    wa, ua = np.mean(folds, axis=0)
    assert (found["mean"]["wa"], found["mean"]["ua"]) == (pytest.approx(wa), pytest.approx(ua))
    head = f"%WA {100 * wa:.2f} %UA {100 * ua:.2f} [ mean of 3 folds, 54 segments, one training run, 95 % of the pooled UA "
    assert result.text.startswith(head) and result.text.splitlines()[0].endswith(", loso, speaker-independent ]")
    truth = [LABELS.index(label) for label in made.utt2label.values()]
    guess = [int(np.argmax(made.posteriors[utt])) for utt in made.utt2label]
    assert found["confusion"]["counts"] == confusion_matrix(truth, guess).tolist()
    assert result.err == ""


def test_the_text_has_every_fold_aligned_and_the_confusion(call, made):
    made.write()
    lines = score(call, made).text.splitlines()
    assert lines[1].startswith("leak guard: clean: ")
    table = lines[3:10]
    assert [line.split()[0] for line in table] == ["fold", "1", "2", "3", "mean", "std", "pooled"]
    assert len({len(line) for line in (table[0], *table[1:4], table[6])}) == 1
    confusion = lines.index("confusion matrix, summed over the folds and runs: rows the truth, columns the predictions")
    rows = [[int(n) for n in line.split()[1:]] for line in lines[confusion + 2 : confusion + 5]]
    assert np.array(rows).sum(axis=1).tolist() == [18, 18, 18]


def test_clusters_widen_and_breakdowns_name_their_map(call, made, tmp_path):
    made.write()
    maps = ["--clusters", tmp_path / "utt2spk", "--clusters", tmp_path / "utt2dialog", "--by", tmp_path / "utt2spk"]
    text = score(call, made, *maps, "--json", tmp_path / "r.json").text
    found = json.loads((tmp_path / "r.json").read_text())
    assert {name: ends["clusters"] for name, ends in found["intervals"].items()} == {
        "utt2spk": 6, "utt2session": 3, "utt2dialog": 6, "segment": 54}  # fmt: skip
    assert list(found["by"]["utt2spk"]) == ["Ses01F", "Ses01M", "Ses02F", "Ses02M", "Ses03F", "Ses03M"]
    assert sum(part["segments"] for part in found["by"]["utt2spk"].values()) == 54
    assert re.search(r"^speakers in 3 folds\* +6 +\d", text, re.M) and re.search(r"^Ses03M +9 ", text, re.M)


def test_a_data_folder_breaks_results_down_and_adds_raters(call, made, tmp_path):
    made.write()
    (tmp_path / "spk2gender").write_text("".join(f"Ses0{n}{sex} {sex.lower()}\n" for n in (1, 2, 3) for sex in "FM"))
    votes = {utt: f"E1={label} E2={label if n % 2 else 'fru'}" for n, (utt, label) in enumerate(made.utt2label.items())}
    (tmp_path / "utt2votes").write_text("".join(f"{utt} {said}\n" for utt, said in votes.items()))
    text = score(call, made, "--data", tmp_path, "--json", tmp_path / "r.json").text
    found = json.loads((tmp_path / "r.json").read_text())
    assert list(found["by"]) == ["gender", "dialogs", "raters who agree", "speaker"]
    assert {name: part["segments"] for name, part in found["by"]["raters who agree"].items()} == {
        "1 of 2": 27, "2 of 2": 27}  # fmt: skip
    full = found["agreement"]["full"]
    assert full["segments"] == 27 and full["wa"] == found["by"]["raters who agree"]["2 of 2"]["wa"]
    assert re.search(rf"^all agree +27 +{100 * full['wa']:.2f} ", text, re.M)
    # All votes for one class that are for a class at all: what is left is the log loss.
    loss = found["calibration"]["as_it_is"]["log_loss"]
    assert found["agreement"]["cross_entropy"] == pytest.approx(loss)
    assert f"cross-entropy with the votes on 54 segments: {loss:.4f}, entropy of the votes 0.0000" in text


def test_folds_that_are_only_numbered_otherwise_are_the_same(call, made, tmp_path):
    made.write()
    before = score(call, made).text
    path = tmp_path / "folds" / "utt2fold"
    pairs = [line.split() for line in path.read_text().splitlines()]
    path.write_text("".join(f"{key} {int(fold) % 3 + 1}\n" for key, fold in pairs))
    assert score(call, made).text.splitlines()[0] == before.splitlines()[0]


def test_folder_archive_script_and_pipe_give_equal_figures(call, made, tmp_path):
    made.write()
    parts = [tmp_path / "exp" / str(n) / "scores.ark" for n in (1, 2, 3)]
    (tmp_path / "all.ark").write_bytes(b"".join(part.read_bytes() for part in parts))
    (tmp_path / "all.scp").write_text("".join(part.with_suffix(".scp").read_text() for part in parts))
    sources = ["", f"ark:{tmp_path}/all.ark", f"scp:{tmp_path}/all.scp", f"ark:cat {tmp_path}/exp/*/scores.ark |"]
    results = [score(call, made, source=source) for source in sources]
    assert len({result.text.split(" [")[0] for result in results}) == 1
    # A script leads to the archives and their manifests, a pipe and a joined archive to none.
    assert ["leaks unchecked" in result.text for result in results] == [False, True, False, True]
    assert "leaks unchecked: cat " in results[3].err and "no manifest records" in results[3].err


def test_a_fold_without_a_class_has_no_recall_of_it(call, made, tmp_path):
    for utt in [utt for utt in made.utt2label if utt.startswith("Ses03") and "sad" in utt]:
        for name in ("utt2label", "utt2fold"):
            path = tmp_path / "folds" / name
            path.write_text("".join(line for line in path.open() if not line.startswith(f"{utt} ")))
        del made.posteriors[utt]
    made.write()
    text = score(call, made, "--json", tmp_path / "r.json").text
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["folds"]["3"]["recalls"]["sad"] is None
    assert found["folds"]["3"]["ua"] == pytest.approx(
        np.mean([found["folds"]["3"]["recalls"][label] for label in ("ang", "neu")])
    )
    assert text.splitlines()[6].split()[-1] == "-"


def test_speakers_and_sessions_are_drawn_unless_they_are_unknown(call, made, tmp_path):
    made.write()
    result = score(call, made, "--json", tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert list(found["intervals"]) == ["utt2spk", "utt2session", "segment"] and found["unit"] == "utt2spk"
    assert (found["intervals"]["utt2spk"]["clusters"], found["intervals"]["utt2spk"]["units"]) == (6, 3)
    assert "by 6 speakers in 3 folds (rough: fewer than 5 units)" in result.text.splitlines()[0] and result.err == ""
    for name in ("utt2spk", "utt2session"):
        (tmp_path / "folds" / name).unlink()
    # Dialogs alone are no claim: it is stamped, and the interval of the headline is still the widest there is.
    for options in ((), ("--clusters", tmp_path / "utt2dialog")):
        result = score(call, made, *options)
        assert result.err.count("segments are treated as independent") == 1
        assert result.text.splitlines()[0].endswith("] SPEAKERS-UNKNOWN")
    assert "SPEAKERS" not in score(call, made, "--clusters", tmp_path / "utt2spk").text


def test_only_the_bootstrap_depends_on_the_seed(call, tmp_path):
    made = Experiment(tmp_path, scheme="stratified")
    made.write()
    assert score(call, made, "--seed", 1).out == score(call, made, "--seed", 2).out
    drawn = [score(call, made, "--intervals", "bootstrap", "--seed", seed).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2] and "95 % intervals of the pooled figures (bootstrap)" in drawn[0]


def test_a_folder_of_runs_is_one_system(call, made, tmp_path):
    made.write("exp/seed0")
    Experiment(tmp_path, seed=1).write("exp/seed1")
    text = score(call, made, "--json", tmp_path / "r.json").text
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["runs"]["names"] == ["seed0", "seed1"] and "mean of 2 training runs" in text.splitlines()[0]
    alone = [float(score(call, made, source=tmp_path / "exp" / name).text.split()[3]) for name in ("seed0", "seed1")]
    assert 100 * found["mean"]["ua"] == pytest.approx(np.mean(alone), abs=0.01)
    made.write("exp/seed2")
    assert "seed0 and " in score(call, made, code=1).err and "hold the same scores" in score(call, made, code=1).err
    made.write("exp")
    result = score(call, made, code=1)
    assert "has scores of its own (1/scores.ark) and of runs (seed0)" in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize("binary", ["make_folds", "score_loso", "score_trials", "compare_scores"])
def test_help_needs_no_heavy_library(shell, binary):
    line = f"import sys, sertk.cli.{binary}; print({{'numpy', 'scipy', 'torch', 'tqdm'}} & set(sys.modules) or 'none')"
    assert shell(f'{sys.executable} -c "{line}"', PYTHONPATH=str(ROOT)).text == "none\n"
