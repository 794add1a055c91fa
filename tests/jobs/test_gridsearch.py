"""Settings chosen inside the training folds."""

import csv

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from support import contents
from trainings import StopAfter
from vectortask import predict, transfer, write_vector_task

from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model


@pytest.fixture
def folder(here):
    """The task with four speakers, and head.grid."""
    (here / "head.grid").write_text("--learning-rate=0.001,0.3\n--epochs=2,6\n")
    return write_vector_task(here, 4)


def table(path):
    return list(csv.DictReader(path.open(), delimiter="\t"))


def test_inner_scores_are_those_of_heads_without_the_fold(folder, call):
    """The obvious way: without fold 2 in the labels, every setting is trained and scored on the three others in turn."""
    transfer(call, "--grid", "head.grid", "--folds", 2)
    rows = table(folder / "exp/2/grid.tsv")
    assert [(row["learning-rate"], row["epochs"]) for row in rows] == [
        ("0.001", "2"),
        ("0.001", "6"),
        ("0.3", "2"),
        ("0.3", "6"),
    ]
    labels = read_list(folder / "without2")
    for number, row in enumerate(rows):
        options = ("--learning-rate", row["learning-rate"], "--epochs", row["epochs"])
        transfer(call, *options, name=f"by_hand{number}", labels="without2")
        posteriors = predict(call, f"by_hand{number}", 1, 3, 4)
        truth, decided = zip(*((labels[key], "abc"[p.argmax()]) for key, p in posteriors.items()))
        assert float(row["ua"]) == pytest.approx(balanced_accuracy_score(truth, decided), abs=1e-5)
    best = max(rows, key=lambda row: float(row["ua"]))
    assert best["chosen"] == "*" and sum(row["chosen"] == "*" for row in rows) == 1


def test_chosen_head_is_trained_on_all_training_folds(folder, call):
    transfer(call, "--grid", "head.grid")
    model = load_model(folder / "exp/3/final.pt", heads=True)
    chosen = model.card["grid"]["chosen"]
    options = ("--learning-rate", chosen["learning_rate"], "--epochs", chosen["epochs"], "--folds", 3)
    transfer(call, *options, name="direct")
    direct = load_model(folder / "direct/3/final.pt", heads=True)
    weights, others = (one.network.state_dict() for one in (model, direct))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert model.card["trained_on"] == direct.card["trained_on"] and len(model.card["grid"]["tried"]) == 4
    assert (
        model.card["settings"]["epochs"] == "2,6"
        and f"--epochs={chosen['epochs']}" in (folder / "exp/3/train.conf").read_text()
    )
    assert not list((folder / "exp").rglob("grid.pt"))
    before = contents(folder / "exp")
    transfer(call, "--grid", "head.grid", "--folds", 3, name="alone")
    assert contents(folder / "alone") == {name: data for name, data in before.items() if name.startswith("3/")}
    assert transfer(call, "--grid", "head.grid").err.count("skipped") == 4 and contents(folder / "exp") == before
    (folder / "head.grid").write_text("--epochs=6\n")
    assert "trained again: " in transfer(call, "--grid", "head.grid", "--folds", 1).err


def test_stacked_search_chooses_the_same(folder, call):
    """Heads of different settings, one of which diverges, share a stack."""
    (folder / "head.grid").write_text("--learning-rate=1e38,0.001,0.3\n--momentum=0,0.9\n--epochs=2,6\n")
    options = ("--grid", "head.grid", "--weight-decay", 0.1)
    transfer(call, *options, "--folds", 1, name="alone")
    transfer(call, *options, "--folds", 1, "--stack", "true")
    assert table(folder / "exp/1/grid.tsv") == table(folder / "alone/1/grid.tsv")


def test_stopped_search_resumes_to_the_same_bytes(folder, call, monkeypatch):
    transfer(call, "--grid", "head.grid", name="straight")
    monkeypatch.setattr("sertk.jobs.gridsearch.TOGETHER", 2)
    for calls in (25, 60, 90):
        with monkeypatch.context() as patch:
            patch.setattr("sertk.cli.transfer_head.catch_signals", lambda calls=calls: StopAfter(calls))
            transfer(call, "--grid", "head.grid", code=75)
    assert (folder / "exp/1/grid.pt").exists()
    transfer(call, "--grid", "head.grid")
    assert contents(folder / "exp") == contents(folder / "straight")


def test_diverging_settings_are_left_out(folder, call):
    (folder / "head.grid").write_text("--learning-rate=1e38,0.1\n--epochs=3\n")
    options = ("--weight-decay", 0.1, "--folds", 1)
    err = transfer(call, "--grid", "head.grid", *options).err
    assert "is NaN" in err or "infinite" in err or "loss is" in err
    rows = table(folder / "exp/1/grid.tsv")
    assert [row["ua"] == "failed" for row in rows] == [True, False] and rows[1]["chosen"] == "*"
    (folder / "head.grid").write_text("--learning-rate=1e38\n")
    assert "training fails with every setting" in transfer(call, "--grid", "head.grid", *options, name="no", code=1).err


def test_grid_on_draws_of_a_trunk(toy, call, folds, select_heads):
    (toy / "head.grid").write_text("--embedding-dim=0,8\n--epochs=2,6\n")
    grid = ("--grid", toy / "head.grid", "--folds", 1)
    assert "need --eval-vectors" in select_heads(*grid, code=2).err
    select_heads(*grid, "--eval-vectors", f"scp:{toy}/w.scp")
    card = load_model(toy / "heads/1/final.pt").card
    assert {tried["embedding_dim"] for tried in card["grid"]["tried"]} == {0, 8}
    call("predict-emotion", toy / "heads/1/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/p.ark")
    (toy / "head.grid").write_text("--epochs=7\n")
    err = select_heads(*grid, "--eval-vectors", f"scp:{toy}/w.scp", code=1).err
    assert "has 18 rows, 7 epochs of 3 versions take 21" in err


def test_calls_that_leave_nothing_to_choose_on_are_refused(folder, call):
    two = {key: str(1 + int(fold) % 2) for key, fold in read_list(folder / "folds/utt2fold").items()}
    write_list(folder / "folds/utt2fold", two)
    assert "it takes at least three folds" in transfer(call, "--grid", "head.grid", code=1).err
    options = ("--grid", "head.grid", "--select", "dev-session")
    assert "--grid chooses the epochs too" in transfer(call, *options, code=2).err
    (folder / "head.grid").write_text("--class-weights=none,balanced\n")
    options = ("--grid", "head.grid", "--sampling", "balanced")
    assert "not both in a grid" in transfer(call, *options, code=2).err
