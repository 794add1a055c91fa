"""Scores of training segments by heads without them and the test fold."""

import shutil

import pytest
import torch
from vectortask import predict, transfer, write_vector_task

from sertk.datadir.lists import read_list, write_list
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model


@pytest.fixture
def folder(here):
    """The task with three speakers."""
    return write_vector_task(here, 3)


def test_inner_scores_are_by_heads_without_both_folds(folder, call):
    """The obvious way: without fold 2 in the labels, a head for each other fold. The choice of a grid is used."""
    (folder / "head.grid").write_text("--learning-rate=1e-6,0.3\n")
    transfer(call, "--grid", "head.grid", "--inner-scores", "true")
    transfer(call, "--learning-rate", 0.3, name="by_hand", labels="without2")
    found = dict(read_table("ark:exp/2/inner.ark", kind="vector"))
    assert list(found) == list(read_list(folder / "without2"))
    expected = predict(call, "by_hand", 1, 3)
    assert all(found[key] == pytest.approx(expected[key], abs=1e-6) for key in found)
    record = read_manifest("ark:exp/2/inner.ark").settings["trained_on"]
    assert record == load_model("exp/2/final.pt", heads=True).card["trained_on"] and set(record["keys"]) == set(found)


def test_a_fusion_takes_inner_scores_without_a_stamp(folder, call):
    transfer(call, "--inner-scores", "true")
    predict(call, "exp", 1, 2, 3)
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
    two = {key: str(1 + int(fold) % 2) for key, fold in read_list(folder / "folds/utt2fold").items()}
    write_list(folder / "folds/utt2fold", two)
    err = transfer(call, "--inner-scores", "true", name="two", code=1).err
    assert "it takes at least three folds" in err and not (folder / "two").exists()
