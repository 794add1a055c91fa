"""A task of vectors, which a head learns in a second: of five values, each of three labels has one that is higher."""

from pathlib import Path

import numpy as np

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_table, table_writer


def write_vector_task(folder: Path, num_speakers: int) -> Path:
    """v.scp and folds/ of 12 segments of each speaker, who is a fold; `without2`: the labels without those of fold 2."""
    keys = sorted(f"spk{i % num_speakers}-u{i:02d}" for i in range(12 * num_speakers))
    label = {key: "abc"[int(key[-2:]) // num_speakers % 3] for key in keys}
    fold = {key: str(1 + int(key[3])) for key in keys}
    table = f"ark,scp:{folder}/v.ark,{folder}/v.scp"
    with table_writer(table, kind="vector", settings={"trained_on": "nothing"}) as write:
        for key in keys:
            value = np.random.default_rng(int(key[-2:])).normal(size=5)
            value["abc".index(label[key])] += 1.5
            write(key, value.astype(np.float32))
    (folder / "folds").mkdir()
    write_list(folder / "folds/utt2label", label)
    write_list(folder / "folds/utt2fold", fold)
    write_list(folder / "folds/utt2spk", {key: key[:4] for key in keys})
    (folder / "folds/labels.txt").write_text("a\nb\nc\n")
    write_list(folder / "without2", {key: label[key] for key in keys if fold[key] != "2"})
    return folder


def transfer(call, *options, name="exp", labels="folds/utt2label", code=0):
    """Call transfer-head on the task in the current folder."""
    words = ("--num-threads", 1, "--embedding-dim", 0, "--batch-size", 8, "--epochs", 4, *options)
    return call("transfer-head", *words, "none", "scp:v.scp", labels, "folds/utt2fold", name, code=code)


def predict(call, name, *folds):
    """Posteriors of the folds' segments by their heads, which are also written to NAME/FOLD/scores.ark."""
    posteriors = {}
    for fold in folds:
        scores = f"ark:{name}/{fold}/scores.ark"
        words = ("--utt2fold", "folds/utt2fold", "--fold", fold, f"{name}/{fold}/final.pt", "scp:v.scp")
        call("predict-emotion", *words, scores)
        posteriors |= read_table(scores, kind="vector")
    return posteriors
