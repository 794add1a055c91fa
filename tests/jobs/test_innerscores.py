"""Scores of training segments by heads without them and the test fold."""

import shutil

import numpy as np
import pytest
import torch

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_manifest, read_table, table_writer
from sertk.models.modelfile import load_model

KEYS = sorted(f"spk{i % 3}-u{i:02d}" for i in range(36))
LABEL = {key: "abc"[int(key[-2:]) // 3 % 3] for key in KEYS}
FOLD = {key: str(1 + int(key[3])) for key in KEYS}


@pytest.fixture
def folder(here):
    """v.scp, folds/ of three speakers, and `without`: the labels without those of fold 2."""
    with table_writer("ark,scp:v.ark,v.scp", kind="vector", settings={"trained_on": "nothing"}) as write:
        for key in KEYS:
            value = np.random.default_rng(int(key[-2:])).normal(size=5)
            value["abc".index(LABEL[key])] += 1.5
            write(key, value.astype(np.float32))
    (here / "folds").mkdir()
    write_list(here / "folds/utt2label", LABEL)
    write_list(here / "folds/utt2fold", FOLD)
    write_list(here / "folds/utt2spk", {key: key[:4] for key in KEYS})
    (here / "folds/labels.txt").write_text("a\nb\nc\n")
    write_list(here / "without", {key: LABEL[key] for key in KEYS if FOLD[key] != "2"})
    return here


def transfer(call, *options, name="exp", labels="folds/utt2label", code=0):
    words = ("--num-threads", 1, "--embedding-dim", 0, "--batch-size", 8, "--epochs", 4, *options)
    return call("transfer-head", *words, "none", "scp:v.scp", labels, "folds/utt2fold", name, code=code)


def predict(call, name, fold):
    words = ("--utt2fold", "folds/utt2fold", "--fold", fold, f"{name}/{fold}/final.pt", "scp:v.scp")
    call("predict-emotion", *words, f"ark:{name}/{fold}/scores.ark")
    return dict(read_table(f"ark:{name}/{fold}/scores.ark", kind="vector"))


def test_inner_scores_are_by_heads_without_both_folds(folder, call):
    """The obvious way: without fold 2 in the labels, a head for each other fold. The choice of a grid is used."""
    (folder / "head.grid").write_text("--learning-rate=1e-6,0.3\n")
    transfer(call, "--grid", "head.grid", "--inner-scores", "true")
    transfer(call, "--learning-rate", 0.3, name="by_hand", labels="without")
    found = dict(read_table("ark:exp/2/inner.ark", kind="vector"))
    assert list(found) == [key for key in KEYS if FOLD[key] != "2"]
    expected = predict(call, "by_hand", 1) | predict(call, "by_hand", 3)
    assert all(found[key] == pytest.approx(expected[key], abs=1e-6) for key in found)
    record = read_manifest("ark:exp/2/inner.ark").settings["trained_on"]
    assert record == load_model("exp/2/final.pt", heads=True).card["trained_on"] and set(record["keys"]) == set(found)


def test_a_fusion_takes_inner_scores_without_a_stamp(folder, call):
    transfer(call, "--inner-scores", "true")
    for fold in "123":
        predict(call, "exp", fold)
    shutil.copytree("exp", "other")
    call("fuse-scores", "--weights", "inner", "folds", "exp", "other", "fusion")
    head = call("score-loso", "folds/utt2label", "folds/utt2fold", "fusion").text.splitlines()[0]
    assert "CROSS-FITTED" not in head and "unchecked" not in head


def test_heads_are_the_same_with_and_without_inner_scores(folder, call):
    """Trained again without them, a head keeps no inner scores that could be of others."""
    transfer(call, "--inner-scores", "true", "--folds", 1)
    before = load_model("exp/1/final.pt", heads=True).network.state_dict()
    assert "trained again" in transfer(call, "--folds", 1).err
    after = load_model("exp/1/final.pt", heads=True).network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before) and not list(folder.glob("exp/1/inner.*"))


def test_what_has_no_inner_scores_is_one_line(folder, call):
    options = ("--inner-scores", "true", "--select", "dev-session")
    assert "--inner-scores are those of last epochs" in transfer(call, *options, code=2).err
    options = ("--inner-scores", "true", "--learning-rate", "1e38", "--weight-decay", 0.1)
    assert transfer(call, *options, code=1).err.count("ERROR") == 1
    write_list(folder / "folds/utt2fold", {key: str(1 + int(key[3]) % 2) for key in KEYS})
    err = transfer(call, "--inner-scores", "true", name="two", code=1).err
    assert "it takes at least three folds" in err and not (folder / "two").exists()
