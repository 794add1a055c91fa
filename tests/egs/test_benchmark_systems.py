"""The benchmark's own scripts: openSMILE's functionals, the linear SVM, the tables."""

import csv
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scoredsystems import RIGHT, write_results, write_scores, write_test
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from support import ROOT

from sertk.datadir.lists import read_list
from sertk.frontend.audio import SCALE
from sertk.frontend.perturb import perturbed
from sertk.kaldi.tables import read_manifest, read_table, table_writer

CLASSES = ["ang", "hap", "neu"]


@pytest.fixture
def vectors(call, here):
    """Twelve speakers in three groups; vectors that say something of three classes; folds."""
    keys = sorted(f"s{s:02}-{label}{n}" for s in range(12) for label in CLASSES for n in range(2))
    Path("data").mkdir()
    columns = {"utt2label": lambda k: k[4:7], "utt2spk": lambda k: k[:3], "utt2split": lambda k: int(k[1:3]) % 3 + 1}
    for name, value in columns.items():
        Path("data", name).write_text("".join(f"{key} {value(key)}\n" for key in keys))
    call("make-folds", "--scheme", "given", "data", "exp/toy/folds")
    random = np.random.default_rng(0)
    table = {key: random.normal(0, 1.5, 5) + np.eye(3, 5)[CLASSES.index(key[4:7])] for key in keys}
    with table_writer("ark,scp:v.ark,v.scp", kind="vector") as write:
        for key, row in table.items():
            write(key, row.astype(np.float32))
    return table


def rows(path):
    return {row["utt"]: [float(row[label]) for label in CLASSES] for row in csv.DictReader(Path(path).open())}


def test_the_svm_predicts_as_scikit_learns_own(prepare, vectors):
    """With one value of C there is no choice: the classes are those of a pipeline of StandardScaler and SVC."""
    prepare("benchmark/local/linear_svm.py", "--complexity", "0.1", "scp:v.scp", "exp/toy/folds", "p.csv")
    found, utt2fold = rows("p.csv"), read_list("exp/toy/folds/utt2fold")
    assert all(sum(row) == pytest.approx(1, abs=1e-4) for row in found.values())
    stored = dict(read_table("scp:v.scp", kind="vector"))
    for fold in "123":
        train, test = [[key for key in stored if (utt2fold[key] == fold) == held_out] for held_out in (False, True)]
        scaler = StandardScaler().fit([stored[key] for key in train])
        svm = SVC(C=0.1, kernel="linear", class_weight="balanced")
        svm.fit(scaler.transform([stored[key] for key in train]), [key[4:7] for key in train])
        expected = svm.predict(scaler.transform([stored[key] for key in test]))
        assert [CLASSES[int(np.argmax(found[key]))] for key in test] == list(expected)


def test_test_labels_do_not_change_the_svm(prepare, vectors):
    """C and the temperature of a fold are the same whatever the labels of its own segments are."""
    prepare("benchmark/local/linear_svm.py", "--inner-scores", "svm", "scp:v.scp", "exp/toy/folds", "p.csv")
    inner = Path("svm/2/inner.ark").read_bytes()
    before, utt2fold = rows("p.csv"), read_list("exp/toy/folds/utt2fold")
    labels = read_list("exp/toy/folds/utt2label")
    turned = {
        key: CLASSES[CLASSES.index(label) - 1] if utt2fold[key] == "2" else label for key, label in labels.items()
    }
    Path("exp/toy/folds/utt2label").write_text("".join(f"{key} {label}\n" for key, label in turned.items()))
    prepare("benchmark/local/linear_svm.py", "--inner-scores", "svm", "scp:v.scp", "exp/toy/folds", "p.csv")
    assert Path("svm/2/inner.ark").read_bytes() == inner
    after = rows("p.csv")
    assert all(after[key] == before[key] for key in before if utt2fold[key] == "2")
    assert any(after[key] != before[key] for key in before if utt2fold[key] != "2")


def test_the_svm_of_an_earlier_call_predicts_other_vectors(prepare, vectors):
    """On the same vectors it predicts the same; on others what scikit-learn's own does; nothing is chosen again."""
    prepare("benchmark/local/linear_svm.py", "scp:v.scp", "exp/toy/folds", "p.csv")
    again = ("benchmark/local/linear_svm.py", "--fitted", "p.json", "--complexity", "1e-9", "--test-vectors")
    prepare(*again, "scp:v.scp", "scp:v.scp", "exp/toy/folds", "q.csv")
    assert Path("q.csv").read_text() == Path("p.csv").read_text()
    with table_writer("ark,scp:w.ark,w.scp", kind="vector") as write:
        for key, row in vectors.items():
            write(key, (3 - 2 * row).astype(np.float32))
    prepare(*again, "scp:w.scp", "scp:v.scp", "exp/toy/folds", "q.csv")
    found, utt2fold = rows("q.csv"), read_list("exp/toy/folds/utt2fold")
    stored, other = (dict(read_table(f"scp:{name}.scp", kind="vector")) for name in "vw")
    train, test = [[key for key in stored if (utt2fold[key] == "1") == held_out] for held_out in (False, True)]
    scaler = StandardScaler().fit([stored[key] for key in train])
    svm = SVC(C=json.loads(Path("p.json").read_text())["1"]["C"], kernel="linear", class_weight="balanced")
    svm.fit(scaler.transform([stored[key] for key in train]), [key[4:7] for key in train])
    expected = svm.predict(scaler.transform([other[key] for key in test]))
    assert [CLASSES[int(np.argmax(found[key]))] for key in test] == list(expected)
    Path("p.json").write_text('{"1": {"C": 1}}')
    result = prepare(*again, "scp:w.scp", "scp:v.scp", "exp/toy/folds", "q.csv", code=1)
    assert "p.json: not what linear-svm wrote for these folds" in result.err


def test_inner_scores_are_by_an_svm_without_both_folds(call, prepare, vectors):
    """As predictions, with one value of C; the fusion takes them."""
    words = ("--complexity", "0.1", "--inner-scores", "exp/toy/svm", "scp:v.scp", "exp/toy/folds", "p.csv")
    prepare("benchmark/local/linear_svm.py", *words)
    found, utt2fold = (
        dict(read_table("ark:exp/toy/svm/2/inner.ark", kind="vector")),
        read_list("exp/toy/folds/utt2fold"),
    )
    assert set(found) == {key for key, fold in utt2fold.items() if fold != "2"}
    stored = dict(read_table("scp:v.scp", kind="vector"))
    scaler = StandardScaler().fit([stored[key] for key in stored if utt2fold[key] != "2"])
    train, test = ([key for key in stored if utt2fold[key] == fold] for fold in "13")
    svm = SVC(C=0.1, kernel="linear", class_weight="balanced")
    svm.fit(scaler.transform([stored[key] for key in train]), [key[4:7] for key in train])
    expected = svm.decision_function(scaler.transform([stored[key] for key in test])).argmax(axis=1)
    assert [np.argmax(found[key]) for key in test] == list(expected)
    call("import-scores", "--trained-on", "folds", "p.csv", "exp/toy/folds", "exp/toy/svm")
    shutil.copytree("exp/toy/svm", "exp/toy/same")
    system = ROOT / "egs/benchmark/local/systems/fusion.sh"
    path = f"{ROOT / 'bin'}:{ROOT / 'egs/common/utils'}:{ROOT / 'egs/common/steps'}:{os.environ['PATH']}"
    words = ("--what", "svm+same:inner", "data", "exp/toy/folds", "exp/toy/fusion")
    done = subprocess.run([system, *words], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = read_manifest("ark:exp/toy/fusion/2/scores.ark").settings
    assert settings["fusion"]["fitted_on"] == "inner" and len(settings["fused"]) == 4
    lists = ("exp/toy/folds/utt2label", "exp/toy/folds/utt2fold")
    assert "CROSS-FITTED" not in call("score-loso", *lists, "exp/toy/fusion").text


def test_missing_vectors_are_one_line(prepare, vectors):
    Path("few.scp").write_text("".join(Path("v.scp").read_text().splitlines(keepends=True)[1:]))
    result = prepare("benchmark/local/linear_svm.py", "scp:few.scp", "exp/toy/folds", "p.csv", code=1)
    assert "scp:few.scp: no vector for s00-ang0, 1 of 72 segments have none" in result.err


def test_functionals_are_opensmiles(prepare, here):
    opensmile = pytest.importorskip("opensmile")
    samples = np.random.default_rng(0).normal(0, 0.1, 16000)
    soundfile.write("a.wav", samples, 16000)
    Path("wav.scp").write_text("a a.wav\nmissing b.wav\n")
    words = ("--max-skip", 0.5, "scp:wav.scp", "ark:f.ark")
    result = prepare("benchmark/local/opensmile_functionals.py", *words)
    assert "skipped missing" in result.err
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    expected = smile.process_file("a.wav").to_numpy()[0]
    ((key, row),) = read_table("ark:f.ark", kind="vector")
    assert key == "a" and row.shape == (88,) and row == pytest.approx(expected, rel=1e-3, abs=1e-3)
    # Of perturbed recordings: those of the samples that make-fbank would see.
    Path("utt2perturb").write_text("a level=-20\n")
    prepare("benchmark/local/opensmile_functionals.py", "--utt2perturb", "utt2perturb", *words)
    ((_, row),) = read_table("ark:f.ark", kind="vector")
    expected = smile.process_signal(perturbed(SCALE * soundfile.read("a.wav")[0], 16000, "level=-20") / SCALE, 16000)
    assert row == pytest.approx(expected.to_numpy()[0], rel=1e-3, abs=1e-3)


def test_speaker_vectors_are_resemblyzers(prepare, here, monkeypatch):
    """With stand-ins for the package, which the tests do not install: what it is given, and what is done with the result."""
    script, words = "benchmark/local/resemblyzer_vectors.py", ("--num-threads", 1, "scp:wav.scp", "ark:v.ark")
    samples = np.round(np.random.default_rng(0).normal(0, 0.1, 8000) * 32768) / 32768
    soundfile.write("a.wav", samples, 8000)
    Path("wav.scp").write_text("a a.wav\n")
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    assert "resemblyzer cannot be used" in prepare(script, *words, code=1).err and not Path("v.ark").exists()

    class VoiceEncoder:
        def __init__(self, device, verbose):
            pass

        def embed_utterance(self, samples):
            return np.array([len(samples), np.abs(samples).max()])

    package, audio, librosa = (types.ModuleType(name) for name in ("resemblyzer", "resemblyzer.audio", "librosa"))
    package.VoiceEncoder = VoiceEncoder
    package.hparams = types.SimpleNamespace(sampling_rate=16000, audio_norm_target_dBFS=-30)
    audio.normalize_volume = lambda wav, target, increase_only: wav * 2 if (target, increase_only) == (-30, True) else 0
    librosa.resample = lambda wav, orig_sr, target_sr: wav.repeat(target_sr // orig_sr)
    for module in (package, audio, librosa):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    prepare(script, *words)
    ((_, row),) = read_table("ark:v.ark", kind="vector")
    assert row == pytest.approx([16000, 2 * np.abs(samples).max()])
    assert "VoxCeleb" in read_manifest("ark:v.ark").settings["trained_on"]["declared"]
    Path("utt2perturb").write_text("a level=-20\n")
    prepare(script, "--utt2perturb", "utt2perturb", *words)
    ((_, row),) = read_table("ark:v.ark", kind="vector")
    assert row == pytest.approx([16000, 0.2 * np.abs(samples).max()], rel=1e-3)


def test_the_table_has_every_system_with_its_test(call, prepare, vectors):
    """A system that knows all labels and one that guesses, as imported predictions."""
    random = np.random.default_rng(1)
    lists = ("exp/toy/folds/utt2label", "exp/toy/folds/utt2fold")
    for name, known in (("good", 0.9), ("bad", 0.4)):
        lines = ["utt,label"]
        for key in vectors:
            lines.append(f"{key},{key[4:7] if random.random() < known else random.choice(CLASSES)}")
        Path(f"{name}.csv").write_text("\n".join(lines))
        call("import-scores", "--trained-on", "folds", f"{name}.csv", "exp/toy/folds", f"exp/toy/{name}")
        call("score-loso", "--json", f"exp/toy/{name}/results.json", *lists, f"exp/toy/{name}")
    shutil.copytree("exp/toy", "exp/alone", ignore=shutil.ignore_patterns("bad"))
    for name, warning in (("good", ""), ("nosuch", "exp/alone: no nosuch to test against")):
        result = prepare("benchmark/local/table.py", "--against", name, "exp", "alone")
        assert warning in result.err and (warning or "WARNING" not in result.err)
    result = prepare("benchmark/local/table.py", "--against", "bad", "--json", "all.json", "exp", "toy")
    heading, _, first, second, *_ = result.text.splitlines()
    assert heading == "toy: 72 segments, ang hap neu; 3 folds, given; 12 speakers in 3 folds"
    assert first.split()[0] == "good" and second.split()[0] == "bad" and second.split()[-3:] == ["-", "-", "-"]
    call("compare-scores", "--json", "c.json", lists[0], "exp/toy/bad", "exp/toy/good")
    expected = json.loads(Path("c.json").read_text())["comparisons"][0]["ua"]
    comparison = json.loads(Path("all.json").read_text())["toy"]["comparison"]["good"]
    assert comparison["difference"] == pytest.approx(-expected["value"]) and comparison["p"] == expected["p"]
    assert comparison["interval"] == pytest.approx([-expected["interval"][1], -expected["interval"][0]])
    assert Path("exp/toy/COMPARE").exists()
    # The report finds the folds beside the systems, and calls imported ones by their names.
    call("make-report", "exp/toy", "report")
    text = Path("report/report.md").read_text()
    assert "**good**" in text and (
        "bad is worse than good" in text or "bad does not differ significantly from good" in text
    )
    # Labels were corrected since, and only some systems scored again.
    path = Path("exp/toy/folds/utt2label")
    path.write_text(path.read_text().replace("s00-ang0 ang", "s00-ang0 hap"))
    call("score-loso", "--json", "exp/toy/good/results.json", *lists, "exp/toy/good")
    result = prepare("benchmark/local/table.py", "exp", "toy", code=1)
    assert "exp/toy/bad/results.json: does not match the current scores and folds: run score-loso again" in result.err
    result = prepare("benchmark/local/table.py", "exp", "elsewhere", code=1)
    assert "exp/elsewhere: no results.json of a system" in result.err


def test_cross_corpus_results_are_matrices(prepare, here):
    for tested, ua in (("one", 0.5), ("two", 0.75)):
        path = Path(f"cross/one-two/svm/tested_on_{tested}")
        write_test(Path(f"cross/one-two/folds.{tested}"))
        write_scores(path.with_suffix(".scores"))
        write_results(path.with_suffix(".json"), ua=ua, stamps=["PARTIAL"])
    result = prepare("benchmark/local/cross_table.py", "--json", "all.json", "cross")
    assert "one and two share a b: chance 50.0" in result.text
    lines = [line.split() for line in result.text.splitlines()[-3:]]
    assert lines[0] == ["svm", "one", "two"]
    assert lines[1] == ["one", "-", "75.0", "(65.0", "to", "85.0)", "PARTIAL"]  # trained on one, tested on two
    assert lines[2] == ["two", "50.0", "(40.0", "to", "60.0)", "PARTIAL", "-"]
    assert json.loads(Path("all.json").read_text())["svm"][0]["tested_on"] == "one"
    # Tested again since, and not scored.
    write_scores(Path("cross/one-two/svm/tested_on_two.scores"), 1 - RIGHT)
    result = prepare("benchmark/local/cross_table.py", "cross", code=1)
    assert "tested_on_two.json: does not match the current scores and folds: run score-loso again" in result.err
