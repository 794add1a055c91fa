"""score-loso as a user calls it."""

import json
import re
import sys

import numpy as np
import pytest
from experiment import LABELS, Experiment
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from support import ROOT

from sertk.kaldi.tables import read_table, table_writer


@pytest.fixture
def made(tmp_path):
    return Experiment(tmp_path)


def score(call, made, *options, source=None, code=0):
    return call("score-loso", *options, *made.arguments, source or made.root / "exp", code=code)


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


def test_stamps_stand_in_the_headline_and_in_the_json(call, made, tmp_path):
    scheme = tmp_path / "folds" / "scheme.json"
    scheme.write_text(scheme.read_text().replace('"stamps": []', '"stamps": ["SIMULATED"]'))
    made.write()
    text = score(call, made, "--stamp", "PARTIAL", "--stamp", "SIMULATED", "--json", tmp_path / "r.json").text
    assert text.splitlines()[0].endswith("] PARTIAL SIMULATED")
    assert json.loads((tmp_path / "r.json").read_text())["stamps"] == ["PARTIAL", "SIMULATED"]


def test_shared_scripts_are_told(call, made, tmp_path):
    scheme = tmp_path / "folds" / "scheme.json"
    found = json.loads(scheme.read_text()) | {
        "scripts": {"1": {"scripted": 6, "shared": 3}, "2": {"scripted": 2, "shared": 1}}
    }
    scheme.write_text(json.dumps(found))
    made.write()
    assert "\n8 scripted segments, with a script that is also in the training data: 50.00 %\n" in score(call, made).text


def test_stratified_folds_are_stamped_speaker_dependent(call, tmp_path):
    made = Experiment(tmp_path, scheme="stratified")
    made.write()
    head = score(call, made).text.splitlines()[0]
    assert "stratified" in head and head.endswith("] SPEAKER-DEPENDENT")


def test_folds_made_by_hand_are_what_their_utt2spk_makes_them(call, made, tmp_path):
    made.write()
    (tmp_path / "folds" / "scheme.json").unlink()
    head = score(call, made).text.splitlines()[0]
    assert head.endswith("folds made by hand, speaker-independent ]")
    # A copy of one fold's segment in another fold: the speaker is on both sides, whatever the copy is called.
    spoiled = tmp_path / "folds" / "utt2spk"
    old = spoiled.read_text()
    spoiled.write_text(old.replace("Ses02F-ang0 Ses02F", "Ses02F-ang0 sp0.9-Ses01F"))
    result = score(call, made, "--json", tmp_path / "r.json")
    assert result.text.splitlines()[0].endswith("folds made by hand ] SPEAKER-DEPENDENT")
    assert json.loads((tmp_path / "r.json").read_text())["speaker_independent"] is False
    spoiled.unlink()
    result = score(call, made)
    assert result.text.splitlines()[0].endswith("folds of unknown scheme, leaks unchecked ] UNKNOWN-SCHEME")
    assert "the speaker of 18 test segments is not known" in result.err


def test_a_scheme_that_its_folds_contradict_is_refused(call, made, tmp_path):
    made.write()
    lists = (tmp_path / "folds" / "utt2spk").read_text()
    (tmp_path / "folds" / "utt2spk").write_text(lists.replace("Ses02F-ang0 Ses02F", "Ses02F-ang0 sp0.9-Ses01F"))
    head = score(call, made).text.splitlines()[0]
    assert "speaker-independent" not in head and head.endswith("] SPEAKER-DEPENDENT")


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


def test_scores_written_again_are_not_checked_for_leaks(call, made, tmp_path):
    """Other posteriors are moved over those of a fold: its manifest says nothing of them."""
    made.write()
    scores = tmp_path / "exp/2/scores.ark"
    entries = list(read_table(f"ark:{scores}", kind="vector"))
    with table_writer(f"ark:{tmp_path}/new.ark", kind="vector") as write:
        for key, values in entries:
            write(key, values[::-1].copy())
    (tmp_path / "new.ark").replace(scores)
    result = score(call, made)
    assert "leaks unchecked" in result.text.splitlines()[0]
    assert "exp/2/scores.manifest does not match" in result.err


def lose(made, utt):
    del made.posteriors[utt]


def spoil(made, utt, vector):
    made.posteriors[utt] = np.array(vector, dtype=np.float32)


FIRST, SECOND = "Ses01F-ang0", "Ses02F-neu2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda made: lose(made, SECOND), f"{SECOND} is in the test set but not scored"),
        (
            lambda made: [lose(made, utt) for utt in (FIRST, SECOND)],
            f"{FIRST} is in the test set but not scored (2 segments are not)",
        ),
        (lambda made: spoil(made, "Ses09F-ang0", [1, 0, 0]), "Ses09F-ang0 is scored but not in the test set"),
        (lambda made: spoil(made, FIRST, [0.5, 0.5]), f"{FIRST}: 2 posteriors for 3 labels (ang neu sad)"),
        (lambda made: spoil(made, FIRST, [3, -1, -1]), f"{FIRST}: not probabilities (lowest -1, sum 1)"),
        (lambda made: spoil(made, FIRST, [2, 1, 0]), f"{FIRST}: not probabilities (lowest 0, sum 3)"),
        (
            lambda made: made.settings[2].update(labels=["neu", "ang", "sad"]),
            "its posteriors are of neu ang sad, expected",
        ),
        (
            lambda made: made.settings[2]["trained_on"].update(fold=3),
            f"{SECOND.replace('neu2', 'ang0')} was scored by fold 3's model",
        ),
        (
            lambda made: made.folds.utt2fold.update({SECOND: 1}),
            f"{SECOND} was scored by fold 1's model, utt2fold has it in 2",
        ),
        (lambda made: made.folds.utt2fold.pop(SECOND), f"{SECOND} is scored twice"),
    ],
)
def test_scores_that_are_not_the_tests_are_refused(call, made, tmp_path, damage, message):
    damage(made)
    made.write()
    (tmp_path / "r.json").write_text("old")
    result = score(call, made, "--json", tmp_path / "r.json", code=1)
    assert message in result.err
    assert result.err.startswith("score-loso: ERROR: ") and result.err.count("\n") == 1
    assert result.out == b"" and (tmp_path / "r.json").read_text() == "old"


def test_a_posterior_that_is_no_number_is_refused(call, made):
    made.write()
    ark = made.root / "nan.ark"
    rows = [f"{utt}  [ {' '.join(map(str, vector))} ]" for utt, vector in made.posteriors.items()]
    ark.write_text("\n".join([*rows[:-1], f"{list(made.posteriors)[-1]}  [ nan 0.5 0.5 ]"]) + "\n")
    result = score(call, made, source=f"ark:{ark}", code=1)
    assert list(made.posteriors)[-1] in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "folds/utt2label",
            f"{FIRST} ang",
            f"{FIRST} joy",
            f"utt2label: {FIRST}: label 'joy' is not one of ang neu sad",
        ),
        ("folds/utt2label", f"{FIRST} ang\n", "", f"utt2label: {FIRST} is missing"),
        ("folds/utt2fold", f"{FIRST} 1\n", "", f"utt2fold: {FIRST} is missing"),
        ("folds/utt2fold", f"{FIRST} 1", f"{FIRST} one", f"utt2fold:1: {FIRST}: 'one' is not a fold number"),
        ("folds/utt2fold", f"{FIRST} 1", f"{FIRST} 1 2", "utt2fold:1: 3 columns, expected 2"),
        ("folds/labels.txt", "neu\n", "ang\n", "labels.txt:2: label ang comes twice"),
        ("folds/scheme.json", "loso", "lotto", "scheme.json: unknown scheme"),
        ("folds/scheme.json", "{", "", "scheme.json: not JSON"),
        ("utt2spk", f"{FIRST} Ses01F\n", "", f"utt2spk: segment {FIRST} of the test set is missing"),
    ],
)
def test_damaged_maps_are_one_line_each(call, made, file, old, new, message):
    made.write()
    path = made.root / file
    path.write_text(path.read_text().replace(old, new, 1))
    result = score(call, made, "--clusters", made.root / "utt2spk", code=1)
    assert message in result.err and result.err.count("\n") == 1


def test_one_cluster_is_no_interval(call, made):
    made.write()
    (made.root / "utt2all").write_text("".join(f"{utt} all\n" for utt in made.utt2label))
    assert "2 different values or more" in score(call, made, "--clusters", made.root / "utt2all", code=1).err


def test_a_folder_without_scores_says_so(call, made):
    assert "neither scores.ark nor 1/scores.ark" in score(call, made, source=made.root / "folds", code=1).err


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        (lambda said: said["keys"].append("Ses02F-ang0"), "test segment Ses02F-ang0 in its training"),
        (lambda said: said["speakers"].append("Ses02M"), "test speaker Ses02M in its training"),
        (lambda said: said["sessions"].append("Ses02"), "test session Ses02 in its training"),
        (lambda said: said["keys"].append("Ses02M-xxx9"), "test speaker Ses02M in its training"),
        (
            lambda said: said.update(trunk={"keys": ["Ses02M-xxx9"]}),
            "the network it was initialised from had test speaker Ses02M",
        ),
        (
            lambda said: said.update(init={"keys": ["x", "Ses02F-ang0"]}),
            "the network it was initialised from had test segment Ses02F-ang0",
        ),
        (
            lambda said: said.update(init={"keys": ["x"], "init": {"keys": ["Ses02F-ang0"]}}),
            "the network it was initialised from had test",
        ),
    ],
)
def test_leaks_are_refused_and_shown_stamped_to_who_knows(call, made, tmp_path, leak, message):
    for name, value in (("utt2spk", "Ses02M"), ("utt2session", "Ses02")):  # a segment whose label no fold has
        with (tmp_path / "folds" / name).open("a") as file:
            file.write(f"Ses02M-xxx9 {value}\n")
    leak(made.settings[2]["trained_on"])
    made.write()
    result = score(call, made, code=1)
    assert message in result.err and "2/scores.ark" in result.err and result.err.count("\n") == 1
    known = score(call, made, "--i-know", "true", "--json", tmp_path / "r.json")
    assert known.text.splitlines()[0].endswith("] LEAKY")
    assert message in json.loads((tmp_path / "r.json").read_text())["leaks"][0]


def test_shared_speakers_are_no_leak_if_the_scheme_shares_them(call, tmp_path):
    made = Experiment(tmp_path, scheme="stratified")
    made.write()
    assert "LEAKY" not in score(call, made).text


def test_another_corpus_may_call_its_speakers_the_same(call, made):
    made.settings[2]["trained_on"]["init"] = {"keys": ["libri-1"], "speakers": ["Ses02F"]}
    made.write()
    text = score(call, made).text
    assert "LEAKY" not in text and "with the names of test speakers (Ses02F)" in text.splitlines()[1]


def test_selection_and_normalisation_on_the_test_are_stamped(call, made):
    made.settings[1]["trained_on"]["select"] = "oracle"
    made.settings[1]["frontend"] = {"cmvn": "group", "transductive": True}
    made.write()
    assert score(call, made).text.splitlines()[0].endswith("] LEAKY TRANSDUCTIVE")


@pytest.mark.parametrize(
    ("rules", "select", "words"),
    [
        (("last", "last", "last"), "last", "speaker-independent ]"),
        (("dev-session",) * 3, "dev-session", "speaker-independent, epoch by dev-session ]"),
        (("last", "oracle", "last"), "last, oracle", "epoch by last, oracle ] LEAKY"),
        ((None, None, None), None, "speaker-independent ]"),
    ],
)
def test_how_the_epochs_were_chosen_is_said(call, made, tmp_path, rules, select, words):
    for fold, rule in enumerate(rules, 1):
        said = made.settings[fold]["trained_on"]
        said.pop("select") if rule is None else said.update(select=rule)
    made.write()
    text = score(call, made, "--json", tmp_path / "r.json").text
    assert json.loads((tmp_path / "r.json").read_text())["select"] == select
    assert text.splitlines()[0].endswith(words)


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
