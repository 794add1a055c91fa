"""train-resnet on several folds: the bytes of own calls, resumed, stopped, failed."""

import pytest
import torch
from trainings import StopAfter

from sertk.datadir.lists import read_list, write_list
from sertk.errors import SertkError
from sertk.jobs import train_folds
from sertk.training import compile as compiling
from sertk.training import loop

STEPS = ("--epochs", 2, "--batch-size", 16)


@pytest.fixture
def alone(toy, train):
    """Networks of two folds, trained by a call each."""
    for fold in (1, 2):
        train(f"alone/{fold}", *STEPS, "--utt2fold", toy / "utt2fold", "--fold", fold)
    return {fold: (toy / f"alone/{fold}/final.pt").read_bytes() for fold in (1, 2)}


def same(toy, name, alone):
    return {fold: (toy / f"{name}/{fold}/final.pt").read_bytes() for fold in alone} == alone


@pytest.mark.parametrize("in_turn", [False, True])
def test_folds_of_one_call_have_the_bytes_of_own_calls(toy, train, alone, monkeypatch, in_turn):
    monkeypatch.setattr(train_folds, "IN_TURN", {"false"} if in_turn else set())
    options = (*STEPS, "--utt2fold", toy / "utt2fold", "--fold")
    err = train("all/FOLD", *options, "all").err
    assert same(toy, "all", alone)
    assert "fold 1: epoch 2 of 2: loss" in err and "fold 2: epoch 2 of 2: loss" in err
    assert epochs(err) == (["fold 1", "fold 2"] * 2 if in_turn else ["fold 1"] * 2 + ["fold 2"] * 2)
    err = train("all/FOLD", *options, "1,2").err
    assert err.count("finished with these settings and data, skipped") == 2
    with monkeypatch.context() as patch:
        patch.setattr("sertk.cli.train_resnet.catch_signals", lambda: StopAfter(5))
        err = train("stopped/FOLD", *options, "all", code=75).err
    assert err.count("asked to stop: fold 1, epoch ") == 1 and err.count("asked to stop: fold 2, epoch ") == 1
    train("stopped/FOLD", *options, "all")
    assert same(toy, "stopped", alone)


def epochs(err):
    """The folds of the lines of epochs, in their order."""
    return [line.split(":")[1].strip() for line in err.splitlines() if "epoch 1 of 2" in line or "epoch 2 of 2" in line]


def test_what_all_folds_share_is_one_warning_for_all(toy, train):
    """Labels without a segment, features without a manifest."""
    (toy / "feats.manifest").unlink()
    (toy / "labels.txt").write_text("ang\nhap\nneu\nsad\nfea\ncal\n")
    err = train("all/FOLD", "--epochs", 1, "--utt2fold", toy / "utt2fold", "--fold", "all").err
    labels, manifest = [line for line in err.splitlines() if "WARNING" in line]
    assert labels == f"train-resnet: WARNING: {toy}/labels.txt: no segment of {toy}/utt2label is labelled fea, cal"
    assert "no manifest records how these features were computed" in manifest


def test_a_fold_may_be_resumed_by_a_call_of_its_own(toy, train, alone, monkeypatch):
    folds = (*STEPS, "--utt2fold", toy / "utt2fold", "--fold")
    with monkeypatch.context() as patch:
        patch.setattr("sertk.cli.train_resnet.catch_signals", lambda: StopAfter(7))
        train("mixed/FOLD", *folds, "all", code=75)
    train("mixed/FOLD", *folds, 2)
    train("mixed/FOLD", *folds, "all")
    assert same(toy, "mixed", alone)


def test_a_failed_fold_does_not_stop_the_others(toy, train, alone, monkeypatch):
    check, fold_of = loop.Training._check_weights, read_list(toy / "utt2fold")

    def broken(training, epoch, rate):
        if fold_of[training.store.keys[0]] == "2":  # trained on fold 2: fold 1 is held out
            raise SertkError(f"epoch {epoch}: weights are NaN or infinite")
        check(training, epoch, rate)

    monkeypatch.setattr(loop.Training, "_check_weights", broken)
    err = train("all/FOLD", *STEPS, "--utt2fold", toy / "utt2fold", "--fold", "all", code=1).err
    assert err.splitlines()[-1] == "train-resnet: ERROR: fold 1: epoch 1: weights are NaN or infinite"
    assert not (toy / "all/1/final.pt").exists()
    assert (toy / "all/2/final.pt").read_bytes() == alone[2]


def test_several_folds_need_a_place_for_each(toy, train):
    options = ("--epochs", 1, "--utt2fold", toy / "utt2fold", "--fold")
    assert "needs FOLD in its name" in train("exp", *options, "all", code=1).err
    assert "no segment is in fold 7" in train("exp/FOLD", *options, "1,7", code=1).err
    assert not (toy / "exp").exists()
    fold_of = read_list(toy / "utt2fold")
    write_list(toy / "utt2fold", dict.fromkeys(fold_of, "1"))
    assert "ERROR" in train("exp/FOLD", *options, "all", code=1).err and not (toy / "exp").exists()


@pytest.mark.slow
def test_compiled_folds_are_trained_one_by_one(toy, train, monkeypatch):
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    options = ("--epochs", 1, "--chunk-frames", 24, "--precision", "float32", "--compile", "true")
    folds = ("--utt2fold", toy / "utt2fold", "--fold")
    err = train("all/FOLD", *options, *folds, "all").err
    assert err.index("wrote") < err.index("fold 2: epoch 1 of 1")
    for fold in (1, 2):
        torch._dynamo.reset()
        train(f"alone/{fold}", *options, *folds, fold)
        assert (toy / f"all/{fold}/final.pt").read_bytes() == (toy / f"alone/{fold}/final.pt").read_bytes()
