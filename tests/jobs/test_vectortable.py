"""Heads on tables of vectors, without a network: from the table to scores."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support import contents

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_table, table_writer
from sertk.models.modelfile import load_model

LABELS = ("ang", "neu", "sad")
KEYS = sorted(f"spk{i % 6}-u{i:03d}" for i in range(120))
LABEL = {key: LABELS[int(key[-3:]) // 6 % 3] for key in KEYS}


def value_of(key, dim=6, rows=None):
    rng = np.random.default_rng(int(key[-3:]))
    value = rng.normal(size=(rows or 1, dim))
    value[:, LABELS.index(LABEL[key])] += 1.6
    value = value * [1, 5, 0.1, 20, 1, 0][:dim] + [0, 100, 3, -7, 0, 4][:dim]
    return (value if rows else value[0]).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with v.scp, utt2label, utt2fold of three folds, utt2spk, labels.txt."""
    monkeypatch.chdir(tmp_path)
    write_table("v")
    write_list(tmp_path / "utt2label", LABEL)
    write_list(tmp_path / "utt2fold", {key: str(1 + int(key[3]) // 2) for key in KEYS})
    write_list(tmp_path / "utt2spk", {key: key[:4] for key in KEYS})
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    return tmp_path


def write_table(name, rows=None, settings=None):
    settings = {"tool": "x", "trained_on": "nothing"} if settings is None else settings
    with table_writer(
        f"ark,scp:{name}.ark,{name}.scp", kind="matrix" if rows else "vector", settings=settings
    ) as write:
        for key in KEYS:
            write(key, value_of(key, rows=rows))


def transfer(call, *options, table="v", name="exp", code=0):
    words = ("--num-threads", 1, *options, "none", f"scp:{table}.scp", "utt2label", "utt2fold", name)
    return call("transfer-head", *words, code=code)


def predict(call, fold, table="v", name="exp", code=0):
    words = ("--utt2fold", "utt2fold", "--fold", fold, f"{name}/{fold}/final.pt", f"scp:{table}.scp")
    result = call("predict-emotion", *words, f"ark:{name}/{fold}/scores.ark", code=code)
    return dict(read_table(f"ark:{name}/{fold}/scores.ark", kind="vector")) if code == 0 else result.err


@pytest.mark.parametrize("decay", [0, 0.05])
def test_linear_head_equals_scikit_learns_regression(folder, call, decay):
    """At convergence; a constant column, columns of other scales. Weight decay is sklearn's penalty, on the bias too."""
    rates = ("--learning-rate", 2, "--momentum", 0.6, "--epochs", 40, "--hold-epochs", 40)
    descent = (*rates, "--batch-size", 1000, "--weight-decay", decay)
    transfer(call, "--embedding-dim", 0, *descent, "--folds", 2)
    found = predict(call, 2)
    train = [key for key in KEYS if key[3] not in "23"]
    x, y = np.stack([value_of(key) for key in train]).astype(np.float64), [LABEL[key] for key in train]
    mean, deviation = x.mean(axis=0), x.std(axis=0)

    def columns(rows):
        return np.column_stack([((rows - mean) / np.where(deviation > 1e-9, deviation, np.inf)), np.ones(len(rows))])

    strength = 1 / (decay * len(train)) if decay else 1e9
    reference = LogisticRegression(C=strength, fit_intercept=False, tol=1e-8, max_iter=10_000).fit(columns(x), y)
    expected = reference.predict_proba(columns(np.stack([value_of(key) for key in found]).astype(np.float64)))
    assert sorted(found) == [key for key in KEYS if key[3] in "23"]
    np.testing.assert_allclose(np.stack(list(found.values())), expected, atol=1e-2)


def test_standardisation_is_that_of_the_training_folds(folder, call):
    transfer(call, "--epochs", 2)
    for fold in "123":
        rows = np.stack([value_of(key) for key in KEYS if str(1 + int(key[3]) // 2) != fold]).astype(np.float64)
        network = load_model(folder / "exp" / fold / "final.pt", heads=True).network
        np.testing.assert_allclose(network.mean.numpy(), rows.mean(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(network.scale[:5].numpy(), 1 / rows[:, :5].std(axis=0), rtol=1e-5)
        assert network.scale[5] == 0 and network.embedding.out_features == 256


def test_scores_of_heads_on_vectors_are_clean_or_unchecked(folder, call):
    transfer(call, "--learning-rate", 0.1)
    write_table("w", settings={})
    transfer(call, "--epochs", 1, table="w", name="unknown")
    transfer(call, "--epochs", 1, "--trained-on", "VoxCeleb2 dev", table="w", name="declared")
    guards = {}
    for name, table in (("exp", "v"), ("unknown", "w"), ("declared", "w")):
        for fold in "123":
            predict(call, fold, table, name)
        call("score-loso", "--json", f"{name}.json", "utt2label", "utt2fold", name)
        results = json.loads((folder / f"{name}.json").read_text())
        guards[name] = results["guard"], " ".join(results["unchecked"])
    assert guards["exp"] == ("clean", "")
    assert "records neither" in guards["unknown"][1] and "VoxCeleb2 dev" in guards["declared"][1]
    assert json.loads((folder / "exp.json").read_text())["pooled"]["ua"] > 0.6
    words = ("--utt2fold", "utt2fold", "--fold", 1, "exp/2/final.pt", "scp:v.scp")  # another fold's model
    call("predict-emotion", *words, "ark:exp/1/scores.ark")
    assert "was scored by fold 2's model" in call("score-loso", "utt2label", "utt2fold", "exp", code=1).err


def test_network_behind_the_vectors_is_in_the_record(folder, call):
    """Vectors of a speaker network that was trained on the test segments are a leak."""
    record = {"keys": KEYS[:3], "speakers": ["spk0"], "target": "speaker", "segments": 3}
    write_table("w", settings={"model": "5e1f", "at": "pool", "trained_on": record})
    transfer(call, "--epochs", 1, table="w")
    for fold in "123":
        predict(call, fold, "w")
    err = call("score-loso", "utt2label", "utt2fold", "exp", code=1).err
    assert "the network it was initialised from had test segment spk0-u000 and 2 more in its training" in err


def test_vectors_of_features_normalised_over_groups_are_stamped(folder, call):
    write_table("w", settings={"pasted": {"1": {"transductive": True}}, "trained_on": "nothing"})
    transfer(call, "--epochs", 1, table="w")
    for fold in "123":
        predict(call, fold, "w")
    assert "TRANSDUCTIVE" in call("score-loso", "utt2label", "utt2fold", "exp").text.splitlines()[0]


def test_rows_are_used_in_turn_and_averaged_in_prediction(folder, call):
    write_table("m", rows=3)
    transfer(call, "--epochs", 4, "--folds", 1, table="m")
    head = load_model(folder / "exp/1/final.pt", heads=True).network
    found = predict(call, 1, "m")
    import torch

    with torch.no_grad():
        for key, posterior in found.items():
            each = head(torch.from_numpy(value_of(key, rows=3))).softmax(dim=1).numpy()
            np.testing.assert_allclose(posterior, each.mean(axis=0), atol=1e-6)
    write_table("one", rows=1)
    transfer(call, "--epochs", 4, "--folds", 1, table="one", name="one")
    transfer(call, "--epochs", 4, "--folds", 1, name="vectors")
    same, vectors = (
        load_model(folder / name / "1/final.pt", heads=True).network.state_dict() for name in ("one", "vectors")
    )
    assert all(torch.equal(same[name], vectors[name]) for name in same)


def test_layer_weights_are_learned_and_recorded(folder, call):
    """Only layer 1 of three tells the labels apart."""
    with table_writer("ark,scp:l.ark,l.scp", settings={"layers": [0, 6, 12]}) as write:
        for key in KEYS:
            noise = np.random.default_rng(1000 + int(key[-3:])).normal(size=(3, 6)).astype(np.float32)
            noise[1] = value_of(key)
            write(key, noise)
    assert "--layer-weights true" in transfer(call, table="l", code=1).err
    options = ("--layer-weights", "true", "--learning-rate", 0.5, "--embedding-dim", 0)
    err = transfer(call, *options, "--folds", 1, table="l").err
    card = load_model(folder / "exp/1/final.pt", heads=True).card
    assert np.argmax(card["layer_weights"]) == 1 and sum(card["layer_weights"]) == pytest.approx(1)
    assert "exp/1: weights of the layers: 0." in err
    right = [LABELS[int(p.argmax())] == LABEL[key] for key, p in predict(call, 1, "l").items()]
    assert np.mean(right) > 0.6
    assert "1 × 6, this head takes 3 × 6" in predict(call, 1, "v", code=1)


def test_epoch_is_selected_on_the_vectors_themselves(folder, call):
    transfer(call, "--select", "dev-session", "--epochs", 5)
    record = load_model(folder / "exp/1/final.pt", heads=True).card["trained_on"]
    assert record["select"] == "dev-session" and record["chosen_on"]["fold"] == "2"
    rows = np.stack([value_of(key) for key in KEYS if key[3] in "45"]).astype(np.float64)
    network = load_model(folder / "exp/1/final.pt", heads=True).network
    np.testing.assert_allclose(network.mean.numpy(), rows.mean(axis=0), rtol=1e-5, atol=1e-6)
    transfer(call, "--select", "dev-session", "--epochs", 5, "--eval-vectors", "ark:v.ark", name="same")
    assert torch_equal(folder / "exp/1/final.pt", folder / "same/1/final.pt")


def torch_equal(a, b):
    import torch

    one, other = (load_model(path, heads=True).network.state_dict() for path in (a, b))
    return all(torch.equal(one[name], other[name]) for name in one)


def test_finished_heads_on_vectors_are_skipped(folder, call):
    transfer(call, "--epochs", 2)
    before = contents(folder / "exp")
    assert transfer(call, "--epochs", 2).err.count("skipped") == 3
    assert contents(folder / "exp") == before
    assert "trained again: embedding_dim" in transfer(call, "--epochs", 2, "--embedding-dim", 0, "--folds", 1).err


def test_unfit_vectors_are_one_line(folder, call):
    with table_writer("ark,scp:bad.ark,bad.scp", kind="vector") as write:
        for key in KEYS:
            write(key, np.zeros(5 if key == KEYS[4] else 6, np.float32))
    assert f"scp:bad.scp: {KEYS[4]}: 5 numbers, {KEYS[0]} has 6" in transfer(call, table="bad", code=1).err
    (folder / "nan.txt").write_text(f"{KEYS[0]}  [ 1 2 nan ]\n")
    words = ("none", "ark:nan.txt", "utt2label", "utt2fold", "exp")
    assert f"key {KEYS[0]}" in call("transfer-head", *words, code=1).err
    assert not (folder / "exp").exists()
    transfer(call, "--epochs", 1)
    write_table("other", settings={"tool": "y"})
    assert "scp:other.scp: vectors of other tool than exp/1/final.pt" in predict(call, 1, "other", code=1)
