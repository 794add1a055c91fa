"""Fingerprints: what is noticed when a run is resumed."""

import re

import pytest
from toydata import NETWORK

import sertk.jobs.train
from sertk.datadir.lists import read_list, write_list
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_table, table_writer


def test_changed_labels_segments_and_features_are_named(toy, train, call):
    train("exp", "--epochs", 1)
    labels = read_list(toy / "utt2label")
    first = next(iter(labels))
    write_list(toy / "utt2label", labels | {first: "neu" if labels[first] != "neu" else "sad"})
    assert "started with data.labels=" in train("exp", "--epochs", 2, code=1).err
    write_list(toy / "utt2label", {key: label for key, label in labels.items() if key != first})
    assert "data.segments=40, now it is 39" in train("exp", "--epochs", 2, code=1).err
    write_list(toy / "utt2label", labels)
    with table_writer(f"ark,scp:{toy}/b.ark,{toy}/b.scp") as write:
        for key, feats in read_table(parse_rspecifier(f"scp:{toy}/feats.scp")):
            write(key, 2 * feats)
    louder = [*NETWORK, "--epochs", 2, f"scp:{toy}/b.scp", toy / "utt2label"]
    assert "started with data.features=" in call("train-resnet", *louder, toy / "exp", code=1).err
    for name in ("feats", "b"):  # without a manifest some rows stand for the table
        (toy / f"{name}.manifest").unlink()
    train("bare", "--epochs", 1)
    assert "started with data.features=" in call("train-resnet", *louder, toy / "bare", code=1).err


@pytest.mark.parametrize("row", ["first", "middle", "last"])
def test_features_changed_under_their_manifest_are_noticed(toy, train, row):
    train("exp", "--epochs", 1)
    manifest = (toy / "feats.manifest").read_bytes()
    table = dict(read_table(parse_rspecifier(f"scp:{toy}/feats.scp")))
    for feats in table.values():
        feats[{"first": 0, "middle": len(feats) // 2, "last": -1}[row]] *= -3
    with table_writer(f"ark,scp:{toy}/feats.ark,{toy}/feats.scp") as write:
        for key, feats in table.items():
            write(key, feats)
    (toy / "feats.manifest").write_bytes(manifest)
    assert "started with data.features=" in train("exp", "--epochs", 2, code=1).err


def test_another_label_order_is_refused(toy, train):
    train("exp", "--epochs", 1)
    (toy / "labels.txt").write_text("sad\nneu\nhap\nang\n")
    for epochs in (1, 2):
        err = train("exp", "--epochs", epochs, code=1).err
        assert "started with labels=ang hap neu sad, now it is sad neu hap ang" in err


def test_another_version_is_refused(toy, train, monkeypatch):
    train("exp", "--epochs", 1)
    monkeypatch.setattr(sertk.jobs.train, "__version__", "0.0.9")
    assert "started with sertk=0.1.0, now it is 0.0.9" in train("exp", "--epochs", 2, code=1).err


@pytest.mark.parametrize("name", ["threads", "hardware", "torch", "code"])
def test_another_machine_is_a_warning(toy, train, monkeypatch, name):
    train("exp", "--epochs", 1)
    marks = sertk.jobs.train.machine_fingerprint
    monkeypatch.setattr(sertk.jobs.train, "machine_fingerprint", lambda *args: marks(*args) | {name: "another"})
    err = train("exp", "--epochs", 2).err
    assert re.search(rf"WARNING: .*started with {name}=\S+, now it is another: the last bits will differ", err)
    assert "WARNING" not in train("exp", "--epochs", 3).err  # from here on it is another
