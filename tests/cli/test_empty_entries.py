"""Empty matrices and vectors, which Kaldi's tools write and copy: each costs its key, in every binary."""

import shutil

import numpy as np
import pytest

from sertk.datadir.lists import read_list
from sertk.kaldi.tables import read_table, table_writer

EMPTY = b"\0BFM \4\0\0\0\0\4\0\0\0\0"


@pytest.fixture
def emptied(toy):
    """The toy task, in whose feats.scp the second of 40 segments is empty; its key."""
    lines = (toy / "feats.scp").read_text().splitlines()
    key = lines[1].split()[0]
    (toy / "empty.ark").write_bytes(f"{key} ".encode() + EMPTY)
    lines[1] = f"{key} {toy}/empty.ark:{len(key) + 1}"
    (toy / "feats.scp").write_text("\n".join(lines) + "\n")
    return key


def told(result, binary, key):
    return f"{binary}: WARNING: skipped {key}: is empty" in result.err.splitlines()


@pytest.mark.parametrize("table", ["scp:feats.scp", "ark:all.ark", "ark:all.txt"])
@pytest.mark.parametrize("group", [[], ["--utt2group", "utt2label"]])
def test_cmvn_segment_leaves_an_empty_matrix_out(call, toy, emptied, monkeypatch, table, group):
    monkeypatch.chdir(toy)
    binary, text = bytearray(), ""
    for key in read_list("utt2label"):
        feats = np.ones((3, 16), np.float32)
        rows = "\n".join(" ".join(map(str, row)) for row in feats.tolist())
        text += f"{key}  [ ]\n" if key == emptied else f"{key}  [\n{rows} ]\n"
        head = b"\0BFM \4\3\0\0\0\4\20\0\0\0" + feats.tobytes()
        binary += f"{key} ".encode() + (EMPTY if key == emptied else head)
    (toy / "all.ark").write_bytes(binary)
    (toy / "all.txt").write_text(text)
    result = call("cmvn-segment", *group, table, "ark:out.ark")
    keys = [key for key, _ in read_table("ark:out.ark")]
    assert told(result, "cmvn-segment", emptied) and "Done 39, skipped 1" in result.err
    assert len(keys) == 39 and emptied not in keys
    assert "1 of 40 skipped, more than" in call("cmvn-segment", "--max-skip=0", table, "ark:out.ark", code=1).err


def test_the_path_to_posteriors_leaves_an_empty_matrix_out(call, toy, emptied, train, monkeypatch):
    monkeypatch.chdir(toy)
    assert told(train("exp/a", "--epochs", 1), "train-resnet", emptied)
    model = "exp/a/final.pt"
    for words, table in (
        (["embed-segments", model], "ark:x.ark"),
        (["embed-segments", "--draws", 1, model], "ark,scp:draws.ark,draws.scp"),
        (["predict-emotion", model], "ark:p.ark"),
        (["predict-emotion", "--utt2fold", "utt2fold", "--fold", read_list("utt2fold")[emptied], "--max-skip=0.1", model],
         "ark:f.ark"),
    ):  # fmt: skip
        result = call(*words, "scp:feats.scp", table)
        assert told(result, words[0], emptied) and ", skipped 1\n" in result.err, words
        refused = call(*words, "--max-skip=0", "scp:feats.scp", "ark:other.ark", code=1).err
        assert "skipped, more than --max-skip=0 allows" in refused and not (toy / "other.ark").exists()
    kind = {"x.ark": "vector", "p.ark": "vector", "draws.ark": "matrix"}
    for name, shape in kind.items():
        keys = [key for key, _ in read_table(f"ark:{name}", kind=shape)]
        assert len(keys) == 39 and emptied not in keys
    call("transfer-head", "--epochs", 1, model, "scp:draws.scp", "utt2label", "utt2fold", "exp/heads")


def test_transfer_head_leaves_an_empty_matrix_out(call, toy, train, monkeypatch):
    monkeypatch.chdir(toy)
    train("exp/a", "--epochs", 1)
    call("embed-segments", "--draws", 1, "exp/a/final.pt", "scp:feats.scp", "ark,scp:draws.ark,draws.scp")
    lines = (toy / "draws.scp").read_text().splitlines()
    key = lines[1].split()[0]
    (toy / "empty.ark").write_bytes(f"{key} ".encode() + EMPTY)
    (toy / "empty.scp").write_text("\n".join([lines[0], f"{key} empty.ark:{len(key) + 1}", *lines[2:]]) + "\n")
    result = call(
        "transfer-head", "--epochs", 1, "exp/a/final.pt", "scp:empty.scp", "utt2label", "utt2fold", "exp/heads"
    )
    assert told(result, "transfer-head", key) and (toy / "exp/heads/1/final.pt").exists()


def test_score_trials_leaves_an_empty_vector_out(call, here):
    with table_writer("ark:full.ark", kind="vector") as write:
        for key, vector in {"a": [1, 0], "b": [1, 0.1], "c": [0, 1]}.items():
            write(key, np.array(vector, np.float32))
    (here / "x.ark").write_bytes((here / "full.ark").read_bytes() + b"d \0BFV \4\0\0\0\0")
    (here / "trials").write_text("a b target\na c nontarget\na d target\n")
    result = call("score-trials", "--max-skip=0.5", "trials", "ark:x.ark")
    assert told(result, "score-trials", "d") and "1 left out" in result.text


def test_scripts_of_commands_train_as_the_table_that_they_read(call, toy, train, monkeypatch):
    monkeypatch.chdir(toy)
    train("exp/a", "--epochs", 1)
    shutil.copy("feats.scp", "known.scp")
    lines = (toy / "feats.scp").read_text().splitlines()
    key, place = lines[3].split()
    path, offset = place.split(":")
    lines[3] = f"{key} tail -c +{int(offset) + 1} {path} |"
    (toy / "feats.scp").write_text("\n".join(lines) + "\n")
    assert "scp:" in train("exp/b", "--epochs", 1).err
    assert "held in memory" in train("exp/c", "--epochs", 1).err
    for scp, table in (("known", "k"), ("feats", "f")):
        call("embed-segments", "--draws", 1, "exp/a/final.pt", f"scp:{scp}.scp", f"ark:{table}.ark")
    assert (toy / "k.ark").read_bytes() == (toy / "f.ark").read_bytes()
    kept = [(toy / f"exp/{name}/train.jsonl").read_text().partition('"seconds"')[0] for name in "ab"]
    assert kept[0].partition('"loss"')[2].partition(",")[0] == kept[1].partition('"loss"')[2].partition(",")[0] != ""
