"""Trainings of the toy task: fixtures and helpers that tests of runs, jobs and the engine share."""

import json
from pathlib import Path

import pytest
from toydata import LABELS, NETWORK

from sertk.datadir.lists import read_list, write_list
from sertk.kaldi.tables import read_table

# torch is imported where it is needed: conftest.py sets up the environment first.

# Epochs of the draws that the fixture `draws` computes, and of the heads that `head_words` trains.
DRAW_EPOCHS, HEAD_EPOCHS = 3, 4


def train_words(toy: Path, name: str, *options, network=NETWORK) -> list:
    """Arguments of train-resnet on the toy task."""
    return [*network, *options, f"scp:{toy}/feats.scp", toy / "utt2label", toy / name]


def transfer_head(toy, call, model, draws, *options, name="heads", code=0):
    """Call transfer-head on the toy task."""
    words = ("--epochs", DRAW_EPOCHS, *options, model, draws, toy / "utt2label", toy / "utt2fold", toy / name)
    return call("transfer-head", *words, code=code)


def records(folder: Path) -> list[dict]:
    """The records of a run's epochs."""
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def weights(path: Path) -> dict:
    """The weights of a model file."""
    from sertk.models.modelfile import load_model

    return load_model(path).network.state_dict()


def decisions(toy, call, model, fold) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels of a fold's segments, and what `model` decides."""
    scores = f"ark,scp:{toy}/{fold}.ark,{toy}/{fold}.scp"
    call("predict-emotion", "--utt2fold", toy / "utt2fold", "--fold", fold, model, f"scp:{toy}/feats.scp", scores)
    truth = read_list(toy / "utt2label")
    pairs = [(truth[key], LABELS[p.argmax()]) for key, p in read_table(f"scp:{toy}/{fold}.scp", kind="vector")]
    return tuple(zip(*pairs))


class StopAfter:
    """A stop request that becomes True after a number of calls."""

    def __init__(self, calls: int):
        self.calls = calls

    def __call__(self) -> bool:
        self.calls -= 1
        return self.calls < 0


@pytest.fixture
def speakers(toy, train):
    """A model trained on other labels than those that the heads learn."""
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", {key: key.split("-")[0] for key in labels})
    train("speakers", "--epochs", 1)
    write_list(toy / "utt2label", labels)
    return toy / "speakers/final.pt"


@pytest.fixture
def draws(toy, speakers, call):
    """Draws of the trunk of `speakers`."""
    table = f"ark,scp:{toy}/draws.ark,{toy}/draws.scp"
    call("embed-segments", "--draws", DRAW_EPOCHS, "--chunk-frames", "24,32", speakers, f"scp:{toy}/feats.scp", table)
    return f"scp:{toy}/draws.scp"


@pytest.fixture
def folds(toy):
    """Four folds, each with every label."""
    fold_of = {key: str(1 + int(key[-3:]) // 4 % 4) for key in read_list(toy / "utt2label")}
    write_list(toy / "utt2fold", fold_of)
    return fold_of


@pytest.fixture
def select_heads(toy, call, folds, speakers):
    """select_heads("--select", "oracle", …): transfer-head into heads/, on six epochs of draws."""
    feats = f"scp:{toy}/feats.scp"
    call("embed-segments", "--draws", 6, "--chunk-frames", "24,32", speakers, feats, f"ark,scp:{toy}/d.ark,{toy}/d.scp")
    call("embed-segments", "--at", "pool", speakers, feats, f"ark,scp:{toy}/w.ark,{toy}/w.scp")

    def run(*options, code=0, draws=f"scp:{toy}/d.scp", model=speakers):
        lists = (toy / "utt2label", toy / "utt2fold", toy / "heads")
        return call("transfer-head", "--epochs", 6, "--learning-rate", 0.1, *options, model, draws, *lists, code=code)

    return run


@pytest.fixture
def head_words(toy, call):
    """head_words("name", …): a call that trains name/exp1 (three labels, 30 segments) and name/exp3 (all four)."""
    import torch

    from sertk.models.modelfile import Model, save_model
    from sertk.models.resnet import NetworkSpec, ResNet

    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=64)
    save_model(toy / "model.pt", Model(ResNet(spec).eval(), list("abcd")))
    table = f"ark,scp:{toy}/draws.ark,{toy}/draws.scp"
    chunks = ("--draws", HEAD_EPOCHS, "--chunk-frames", "24,32", "--num-threads", 1)
    call("embed-segments", *chunks, toy / "model.pt", f"scp:{toy}/feats.scp", table)
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label1", {key: label for key, label in labels.items() if label != "hap"})

    def words(name, *options, sets=("exp1", "exp3")):
        lists = {"exp1": "utt2label1", "exp3": "utt2label"}
        label_sets = [(toy / lists[one], toy / "utt2fold", toy / name / one) for one in sets]
        fixed = ("--epochs", HEAD_EPOCHS, "--batch-size", 4, "--num-threads", 1)
        sources = (toy / "model.pt", f"scp:{toy}/draws.scp")
        return ("transfer-head", *fixed, *options, *sources, *(path for paths in label_sets for path in paths))

    return words
