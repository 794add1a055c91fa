"""egs/benchmark/run.sh: what it refuses, and the whole recipe on two toy corpora (slow)."""

import json
import os
import subprocess

import numpy as np
import pytest
from sandbox import write_voice
from support import ROOT

from sertk.datadir.lists import read_list
from sertk.kaldi.tables import table_writer
from sertk.models.modelfile import load_model

RUN = ROOT / "egs/benchmark/run.sh"
CONFS = {
    "draws": "--draws=2\n--chunk-frames=20\n--augment=none\n",
    "head": "--epochs=2\n",
    "scratch": "--channels=2\n--blocks=1,1,1,1\n--embedding-dim=4\n--chunk-frames=20\n--augment=none\n--epochs=1\n",
    "level": "--input-norm=true\n--channels=2\n--blocks=1,1,1,1\n--chunk-frames=20\n--augment=none\n--epochs=1\n",
    "level.fbank": "--num-mel-bins=16\n--allow-resample=true\n",
    "level.finetune": "--input-norm=true\n--chunk-frames=20\n--augment=none\n--epochs=1\n--train=all\n",
    "level.perturbed": "--epochs=2\n",
    "perturb": "--noise=white\n--level=-20\n--each-kind=false\n",
    "level.draws": "--draws=2\n--chunk-frames=20\n--augment=none\n",
    "level.head": "--epochs=2\n",
    "finetune": "--chunk-frames=20\n--augment=none\n--epochs=1\n",
}


def run(folder, *words):
    return subprocess.run(
        [RUN, *map(str, words)], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no corpus (see run.sh --help)"),
        (["--manifest", "x.csv"], "--manifest takes NAME=FILE pairs, not 'x.csv'"),
        (["--manifest", "a=x y.csv b=z.csv a=z.csv"], "two corpora are called a"),
        (["--ravdess", "x", "--manifest", "ravdess=x.csv"], "two corpora are called ravdess"),
        (["--manifest", "cross=x.csv"], "no corpus can be called cross: it is a folder of results"),
        (
            ["--emodb", "x", "--systems", "level folds=level+"],
            "no system can be called folds: it is a folder of results",
        ),
        (["--emodb", "x", "--systems", "level level=scratch+level"], "two systems are called level"),
        (
            ["--emodb", "x", "--systems", "mix=level+scratch level"],
            "mix=level+scratch: name level before it in --systems",
        ),
        (["--emodb", "x", "--systems", "nosuch"], "there is no system nosuch (local/systems/nosuch.sh"),
        (["--emodb", "x", "--systems", "level-speaker"], "level-speaker: level is no system of vectors, which can be"),
        (["--emodb", "x", "--systems", "frozen"], "frozen needs --init MODEL"),
        (["--emodb", "x", "--systems", "level level-finetune"], "level-finetune needs --level-init MODEL"),
        (
            ["--emodb", "x", "--systems", "v=scp:v.scp level f=v+level:inner"],
            "f=v+level:inner: level has no scores of its",
        ),
    ],
)
def test_wrong_calls_are_one_line(tmp_path, words, message):
    done = run(tmp_path, *words)
    assert done.returncode != 0 and message in done.stderr and len(done.stderr.splitlines()) == 1


def test_corpora_that_cannot_be_combined_end_the_recipe(tmp_path):
    """With a stand-in that fails; two corpora that share one label only are left out."""
    for path in ("root/bin", "root/egs", "work/exp/one/folds", "work/exp/two/folds"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "root/egs/common").symlink_to(ROOT / "egs/common")
    (tmp_path / "root/bin/combine-data").write_text("#!/bin/sh\necho combining; exit 3\n")
    (tmp_path / "root/bin/combine-data").chmod(0o755)
    (tmp_path / "work/exp/one/folds/labels.txt").write_text("ang\nsad\n")
    words = [RUN, "--manifest", "one=a.csv two=b.csv", "--cross", "true", "--stage", "7", "--work", "work"]
    environment = os.environ | {"SERTK_ROOT": str(tmp_path / "root")}
    for labels, code in (("neu\nsad\n", None), ("sad\nang\nneu\n", 3)):
        (tmp_path / "work/exp/two/folds/labels.txt").write_text(labels)
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        left_out = "one and two share fewer than two labels: left out" in done.stderr
        assert (left_out, "combining" in done.stdout) == (not code, bool(code)) and code in (None, done.returncode)
    assert not (tmp_path / "work/data/cross/one-two").exists()


def test_a_pair_of_corpora_may_share_ids(tmp_path):
    """As EmoDB's speaker 10 and CREMA-D's 1091, which do not sort as their utterances; one is PARTIAL."""
    lines = {"one": {"10": ["10a", "10b"], "11": ["11a"]}, "two": {"10": ["10-a"], "1091": ["1091-A", "1091-B"]}}
    for corpus, speakers in lines.items():
        data, folds = tmp_path / "data" / corpus, tmp_path / "exp" / corpus / "folds"
        data.mkdir(parents=True)
        folds.mkdir(parents=True)
        keys = sorted((key, speaker) for speaker, keys in speakers.items() for key in keys)
        (data / "wav.scp").write_text("".join(f"{key} /a  b/{key}.wav\n" for key, _ in keys))
        (data / "utt2spk").write_text("".join(f"{key} {speaker}\n" for key, speaker in keys))
        for path in (data / "utt2label", folds / "utt2label"):
            path.write_text("".join(f"{key} {'sad' if key.endswith('a') else corpus}\n" for key, _ in keys))
        (folds / "labels.txt").write_text(f"sad\n{corpus}\n")
    (tmp_path / "data/two/PARTIAL").write_text("x\n")
    line = '. ./path.sh; . local/systems.sh; combine_pair "$0" one two "$0/pair"; validate-data "$0/pair"'
    done = subprocess.run(["bash", "-ec", line, tmp_path], cwd=RUN.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pair = tmp_path / "pair"
    assert read_list(pair / "utt2label") == {"one-10a": "sad", "one-11a": "sad", "two-10-a": "sad"}
    assert read_list(pair / "utt2spk") == {"one-10a": "one-10", "one-11a": "one-11", "two-10-a": "two-10"}
    assert read_list(pair / "utt2split") == {"one-10a": "one", "one-11a": "one", "two-10-a": "two"}
    assert read_list(pair / "wav.scp", None)["one-10a"] == "/a  b/10a.wav" and (pair / "PARTIAL").exists()


def test_networks_are_trained_with_every_seed():
    """segment-mean of --repeats 3 is three runs, openSMILE with its SVM one."""
    line = (
        ". local/systems.sh; for name in $(basename -s .sh local/systems/*.sh); do is_seeded $name && echo $name; done"
    )
    done = subprocess.run(["bash", "-c", line], cwd=RUN.parent, capture_output=True, text=True)
    names = {path.stem for path in (RUN.parent / "local/systems").glob("*.sh")}
    assert set(done.stdout.split()) == names - {
        "opensmile-egemaps", "opensmile-compare", "resemblyzer", "frozen-stats", "vectors", "fusion"
    }  # fmt: skip


def write_corpora(folder, *corpora):
    """Tables of files of four speakers, NAME/list.csv, and settings for them, conf/."""
    seed = 0
    for corpus in corpora:
        rows = ["file,speaker,emotion,gender"]
        for speaker in range(4):
            for label in ("ang", "sad", corpus):
                for take in range(2):
                    seed += 1
                    write_voice(folder / corpus / f"{speaker}-{label}{take}.wav", seed)
                    rows.append(f"{speaker}-{label}{take}.wav,{corpus}{speaker},{label},{'mf'[speaker % 2]}")
        (folder / corpus / "list.csv").write_text("\n".join(rows))
    (folder / "conf").mkdir()
    for name, text in CONFS.items():
        (folder / "conf" / f"{name}.conf").write_text(text)


def test_a_data_folder_is_a_corpus(tmp_path):
    """Also the one of an earlier call, which stays as it is."""
    speakers = [f"s{n}" for n in range(4)]
    keys = [f"{speaker}-{label}" for speaker in speakers for label in ("ang", "sad")]
    (tmp_path / "data").mkdir()
    for name, value in (("wav.scp", lambda key: f"/corpus/{key}.wav"), ("utt2label", lambda key: key[3:]),
                        ("utt2spk", lambda key: key[:2])):  # fmt: skip
        (tmp_path / "data" / name).write_text("".join(f"{key} {value(key)}\n" for key in keys))
    for source in ("data", "work/data/one"):
        done = run(tmp_path, "--manifest", f"one={source}", "--work", "work", "--stop-stage", 1)
        assert done.returncode == 0 and len(read_list(tmp_path / "work/data/one/utt2label")) == 8, done.stderr


@pytest.mark.slow
def test_two_corpora_become_a_table_and_a_matrix(tmp_path):
    """From tables of files: a network from scratch in two runs, their ensemble, openSMILE and a fusion; both directions."""
    pytest.importorskip("opensmile")
    write_corpora(tmp_path, "one", "two")
    systems = "opensmile-egemaps scratch level ensemble=scratch+ mix=opensmile-egemaps+ensemble"
    done = run(tmp_path, "--manifest", "one=one/list.csv two=two/list.csv", "--num-folds", 2, "--work", "work", "--nj", 2,
               "--conf", "conf", "--systems", systems, "--against", "opensmile-egemaps", "--repeats", 2, "--cross")  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    exp = tmp_path / "work/exp"
    table = json.loads((exp / "results.json").read_text())
    assert (
        set(table["one"]["systems"])
        == set(table["two"]["systems"])
        == {"opensmile-egemaps", "scratch", "level", "ensemble", "mix"}
    )
    assert table["one"]["systems"]["scratch"]["runs"]["number"] == 2
    assert set(table["two"]["comparison"]) == {"scratch", "level", "ensemble", "mix"}
    assert all(system["guard"] == "clean" for system in table["one"]["systems"].values())
    cells = json.loads((exp / "cross/results.json").read_text())
    assert {(cell["trained_on"], cell["tested_on"]) for cell in cells["mix"]} == {("one", "two"), ("two", "one")}
    assert "one and two share ang sad" in (exp / "cross/RESULTS").read_text()
    assert (exp / "two/report/report.html").exists()


@pytest.mark.slow
def test_normalisations_and_fitted_weights_are_systems(tmp_path):
    """Each with its stamp."""
    write_corpora(tmp_path, "one")
    systems = "level segment-mean unnormalised speaker-norm fitted=level+segment-mean:folds"
    done = run(tmp_path, "--manifest", "one=one/list.csv", "--num-folds", 2, "--work", "work", "--nj", 2,
               "--conf", "conf", "--systems", systems, "--against", "level", "--stop-stage", 5)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = json.loads((tmp_path / "work/exp/results.json").read_text())["one"]["systems"]
    stamps = {name: results["stamps"] for name, results in table.items()}
    plain = {"level": [], "segment-mean": [], "unnormalised": []}
    assert stamps == plain | {"speaker-norm": ["TRANSDUCTIVE"], "fitted": ["CROSS-FITTED"]}
    models = [load_model(tmp_path / "work/exp/one" / name / "1/final.pt") for name in plain]
    assert [model.network.spec.input_norm for model in models] == [True, True, False]
    assert all(results["guard"] == "clean" for results in table.values())


@pytest.mark.slow
def test_vectors_are_normalised_by_speaker(tmp_path):
    """A label is the distance from a speaker's mean, by which the speakers differ much more."""
    pytest.importorskip("opensmile")
    write_corpora(tmp_path, "one")
    lines = (tmp_path / "one/list.csv").read_text().splitlines()[1:]
    settings, random = {"functionals": "toy", "trained_on": "nothing"}, np.random.default_rng(0)
    with table_writer(f"ark,scp:{tmp_path}/v.ark,{tmp_path}/v.scp", kind="vector", settings=settings) as write:
        for name in sorted(line.split(".")[0] for line in lines):
            speaker, label = int(name[0]), {"a": (1, 0), "s": (0, 1), "o": (-1, -1)}[name[2]]
            mean = (9 * speaker * (-1) ** speaker, 9 * speaker)
            write(f"one{speaker}-{name}", np.add(mean, label + random.normal(size=2) / 9).astype(np.float32))
    systems = "opensmile-egemaps opensmile-egemaps-speaker v=scp:v.scp v-speaker=scp:v.scp"
    systems += " mix=opensmile-egemaps-speaker+v-speaker"
    done = run(tmp_path, "--manifest", "one=one/list.csv", "--num-folds", 2, "--work", "work", "--nj", 2, "--systems", systems,
               "--against", "v", "--stop-stage", 5)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = json.loads((tmp_path / "work/exp/results.json").read_text())["one"]["systems"]
    stamps = {name: " ".join(results["stamps"]) for name, results in table.items()}
    by_speaker = dict.fromkeys(("opensmile-egemaps-speaker", "v-speaker", "mix"), "TRANSDUCTIVE")
    assert stamps == {"opensmile-egemaps": "", "v": ""} | by_speaker
    assert table["v-speaker"]["mean"]["ua"] > 0.95 > table["v"]["mean"]["ua"]


@pytest.mark.slow
def test_perturbed_copies_have_the_folds_of_their_originals(tmp_path):
    """24 segments in two folds: each network has 12 of them and their 12 copies, and none of the test's."""
    write_corpora(tmp_path, "one")
    done = run(tmp_path, "--manifest", "one=one/list.csv", "--num-folds", 2, "--work", "work", "--nj", 2,
               "--conf", "conf", "--systems", "level-perturbed", "--against", "level-perturbed", "--stop-stage", 5)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    exp = tmp_path / "work/exp"
    results = json.loads((exp / "results.json").read_text())["one"]["systems"]["level-perturbed"]
    assert results["guard"] == "clean" and results["segments"] == 24
    fold_of = read_list(exp / "one/folds/utt2fold")
    for fold in ("1", "2"):
        model = load_model(exp / f"one/level-perturbed/{fold}/final.pt")
        assert (model.card["settings"]["epochs"], model.network.spec.channels) == (2, 2)  # of both settings files
        trained_on = model.card["trained_on"]["keys"]
        originals = {name for name in trained_on if name in fold_of}
        assert originals == {name for name in fold_of if fold_of[name] != fold}
        copies = set(trained_on) - originals
        assert {name.removesuffix("-noise").removesuffix("-level") for name in copies} == originals
    # Features of other settings are computed again, and a network of others is not overwritten.
    with (tmp_path / "conf/level.fbank.conf").open("a") as conf:
        conf.write("--low-freq=60\n")
    done = run(tmp_path, "--manifest", "one=one/list.csv", "--num-folds", 2, "--work", "work", "--nj", 2, "--stage", 4,
               "--conf", "conf", "--systems", "level-perturbed", "--against", "level-perturbed", "--stop-stage", 4)  # fmt: skip
    assert (
        done.returncode != 0
        and done.stdout.count("24 of 24 segments\n") == done.stdout.count("48 of 48 segments\n") == 1
    )
    assert "level-perturbed/1/state.pt: this run was started with data.features=" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_network_that_keeps_the_level_is_transferred(tmp_path):
    """To a corpus of another level: frozen with its own statistics, fine-tuned with those of the training segments."""
    write_corpora(tmp_path, "one", "two")
    shared = ("--num-folds", 2, "--work", "work", "--nj", 2, "--conf", "conf", "--against", "level", "--stop-stage", 5)
    done = run(tmp_path, "--manifest", "two=two/list.csv", "--systems", "level", *shared)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    start = tmp_path / "work/exp/two/level/1/final.pt"
    done = run(tmp_path, "--manifest", "one=one/list.csv", "--systems", "level level-frozen level-finetune", *shared,
               "--level-init", start.relative_to(tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = json.loads((tmp_path / "work/exp/results.json").read_text())["one"]["systems"]
    assert set(table) == {"level", "level-frozen", "level-finetune"}
    exp = tmp_path / "work/exp/one"
    start, scratch, frozen, tuned = (
        load_model(path).network.trunk.norm.mean
        for path in (start, *(exp / name / "1/final.pt" for name in ("level", "level-frozen", "level-finetune")))
    )
    assert frozen.equal(start) and tuned.equal(scratch) and not tuned.equal(start)


@pytest.mark.slow
def test_a_rerun_keeps_finished_draws(tmp_path):
    """Of all systems with heads on a frozen trunk; other settings of the draws compute those again that have them."""
    write_corpora(tmp_path, "one", "two")
    shared = ("--num-folds", 2, "--work", "work", "--nj", 2, "--conf", "conf", "--stop-stage", 4)
    done = run(tmp_path, "--manifest", "two=two/list.csv", "--systems", "scratch level", *shared)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    start = "work/exp/two/{}/1/final.pt"
    systems = ("frozen", "frozen-aux", "level-frozen")

    def draws():
        done = run(tmp_path, "--manifest", "one=one/list.csv", "--systems", " ".join(systems), *shared,
                   "--init", start.format("scratch"), "--level-init", start.format("level"))  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        logs = [(tmp_path / "work/exp/one" / name / "log/embed.log").read_text() for name in systems]
        ends = [log.splitlines()[-2].rpartition(": ")[2] for log in logs]
        return ["kept" if end.endswith(", kept") else end for end in ends]

    assert draws() == ["Done 24, skipped 0"] * 3
    assert draws() == ["kept"] * 3
    (tmp_path / "conf/draws.conf").write_text(CONFS["draws"].replace("=2\n", "=3\n"))
    assert draws() == ["Done 24, skipped 0", "Done 24, skipped 0", "kept"]
