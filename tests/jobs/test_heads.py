"""Heads of all folds and label sets, from tables to model files."""

import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from killing import kill_at_random, running, start, wait
from sklearn.metrics import balanced_accuracy_score
from support import contents
from toydata import NETWORK
from trainings import DRAW_EPOCHS, StopAfter, decisions, records, transfer_head

from sertk import runtime
from sertk.datadir.lists import read_list, write_list
from sertk.jobs.headrun import HeadRun
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model


def test_heads_of_all_folds_classify_what_was_held_out(toy, call, speakers, draws):
    transfer_head(toy, call, speakers, draws, "--learning-rate", 0.05, "--batch-size", 8)
    truth, fold_of, right, decided = read_list(toy / "utt2label"), read_list(toy / "utt2fold"), 0, {}
    for fold in ("1", "2"):
        path = toy / "heads" / fold / "final.pt"
        assert load_model(path).card["trained_on"]["fold"] == fold
        scores = f"ark,scp:{toy}/{fold}.ark,{toy}/{fold}.scp"
        call("predict-emotion", "--utt2fold", toy / "utt2fold", "--fold", fold, path, f"scp:{toy}/feats.scp", scores)
        labels = read_manifest(f"scp:{toy}/{fold}.scp").settings["labels"]
        for key, posteriors in read_table(f"scp:{toy}/{fold}.scp", kind="vector"):
            assert fold_of[key] == fold
            decided[key] = posteriors
            right += labels[posteriors.argmax()] == truth[key]
        scores = f"ark,scp:{toy}/b{fold}.ark,{toy}/b{fold}.scp"
        call("predict-emotion", "--precision", "bf16", "--utt2fold", toy / "utt2fold", "--fold", fold, path,
             f"scp:{toy}/feats.scp", scores)  # fmt: skip
        for key, posteriors in read_table(f"scp:{toy}/b{fold}.scp", kind="vector"):
            exact = decided[key]
            assert 0 < abs(posteriors - exact).max() < 0.05
            best, second = np.sort(exact)[[-1, -2]]
            assert posteriors.argmax() == exact.argmax() or best - second < 0.05
    assert right > 20  # of 40, by chance 10


def test_only_the_head_differs_from_the_initial_network(toy, call, speakers, draws):
    transfer_head(toy, call, speakers, draws)
    before = load_model(speakers).network.state_dict()
    after = load_model(toy / "heads/1/final.pt").network.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items() if name.startswith("trunk"))
    assert after["head.output.bias"].shape == (4,)


def test_fold_alone_equals_the_fold_among_others(toy, call, speakers, draws):
    transfer_head(toy, call, speakers, draws)
    transfer_head(toy, call, speakers, draws, "--folds", 2, name="alone")
    assert (toy / "heads/2/final.pt").read_bytes() == (toy / "alone/2/final.pt").read_bytes()
    assert not (toy / "alone/1").exists()


def test_network_without_pooling_transfers(toy, call, train):
    network = (*NETWORK, "--pooling", "none", "--chunk-frames", "24")
    train("flat", "--epochs", 1, network=network)
    table = f"ark,scp:{toy}/d.ark,{toy}/d.scp"
    call("embed-segments", "--draws", DRAW_EPOCHS, toy / "flat/final.pt", f"scp:{toy}/feats.scp", table)
    transfer_head(toy, call, toy / "flat/final.pt", f"scp:{toy}/d.scp", name="flatheads")
    call("predict-emotion", toy / "flatheads/1/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/p.ark")


def test_heads_without_pooling_on_a_trunk_with_pooling(toy, call, speakers, maps):
    transfer_head(toy, call, speakers, maps, name="flatheads")
    before, after = load_model(speakers).network, load_model(toy / "flatheads/2/final.pt").network
    assert before.spec.pooling == "stats" and (after.spec.pooling, after.spec.frames) == ("none", 24)
    assert torch.equal(before.trunk.stem.weight, after.trunk.stem.weight)
    assert after.head.embedding.in_features == 16 * 2 * 3  # channels × bins × frames after three strides
    call("predict-emotion", toy / "flatheads/2/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/p.ark")
    for key, feats in read_table(f"scp:{toy}/feats.scp"):
        middle = max(0, (len(feats) - 24) // 2)
        cropped = np.concatenate([feats[middle:], feats])[:24]  # repeated where it is shorter
        with torch.no_grad():
            maps, _ = before.trunk(torch.from_numpy(cropped.T.copy())[None])
            wanted = after.head(maps.flatten(1)).softmax(dim=1)[0].numpy()
        np.testing.assert_allclose(dict(read_table(f"ark:{toy}/p.ark", kind="vector"))[key], wanted, atol=1e-5)


@pytest.fixture
def maps(toy, call, speakers):
    """Draws of maps of the trunk of `speakers`."""
    table = f"ark,scp:{toy}/m.ark,{toy}/m.scp"
    draws = ("--draws", DRAW_EPOCHS, "--at", "map", "--chunk-frames", 24)
    call("embed-segments", *draws, speakers, f"scp:{toy}/feats.scp", table)
    return f"scp:{toy}/m.scp"


ATTENTIVE = ("--pooling", "attentive")


def test_attentive_heads_on_maps_of_the_trunk(toy, call, speakers, maps):
    """Learned weights, and posteriors of segments of any length; one by one where others are stacked."""
    transfer_head(toy, call, speakers, maps, *ATTENTIVE, name="heads")
    transfer_head(toy, call, speakers, maps, *ATTENTIVE, "--stack", "true", name="stacked")
    before, after = load_model(speakers).network, load_model(toy / "heads/2/final.pt").network
    assert (after.spec.pooling, after.spec.frames) == ("attentive", 0)
    assert torch.equal(before.trunk.stem.weight, after.trunk.stem.weight)
    assert after.pool.score.weight.abs().max() > 0  # all are 0 before training
    for name, tensor in load_model(toy / "stacked/2/final.pt").network.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name
    call("predict-emotion", toy / "heads/2/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/p.ark")
    posteriors = dict(read_table(f"ark:{toy}/p.ark", kind="vector"))
    for key, feats in read_table(f"scp:{toy}/feats.scp"):
        with torch.no_grad():
            pooled = after.pool(*before.trunk(torch.from_numpy(feats.T.copy())[None]))
            wanted = after.head(pooled).softmax(dim=1)[0].numpy()
        np.testing.assert_allclose(posteriors[key], wanted, atol=1e-5)


def test_stopped_attentive_heads_resume_to_the_same_bytes(toy, call, speakers, maps, monkeypatch):
    transfer_head(toy, call, speakers, maps, *ATTENTIVE, name="straight")
    with monkeypatch.context() as patch:
        patch.setattr("sertk.cli.transfer_head.catch_signals", lambda: StopAfter(9))
        transfer_head(toy, call, speakers, maps, *ATTENTIVE, name="stopped", code=75)
    transfer_head(toy, call, speakers, maps, *ATTENTIVE, name="stopped")
    assert contents(toy / "stopped") == contents(toy / "straight")


def test_a_pooling_is_for_draws_of_maps(toy, call, speakers, draws, maps):
    err = transfer_head(toy, call, speakers, draws, *ATTENTIVE, code=1).err
    assert err.endswith("--pooling attentive is for draws of maps (embed-segments --draws N --at map)\n")
    piped = f"cat {maps.removesuffix('.scp').removeprefix('scp:')}.ark |"
    err = transfer_head(toy, call, speakers, f"ark:{piped}", *ATTENTIVE, code=1).err
    assert "from a file with its manifest, which a pipe does not pass on" in err
    assert "--pooling is for maps" in transfer_head(toy, call, "none", draws, *ATTENTIVE, code=2).err
    call("embed-segments", "--at", "pool", speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/w.ark")
    whole = ("--select", "oracle", "--eval-vectors", f"ark:{toy}/w.ark")
    err = transfer_head(toy, call, speakers, maps, *whole, code=1).err
    assert "this head takes maps, not vectors of whole segments: --select last" in err
    for scored in (whole, ("--inner-scores", "true")):
        err = transfer_head(toy, call, speakers, maps, *scored, *ATTENTIVE, code=2).err
        assert "--pooling takes maps, which whole segments do not have: not with --select" in err
    assert not (toy / "heads").exists()


def test_label_sets_together_equal_label_sets_alone(tmp_path, head_words, call):
    call(*head_words("together"))
    for one in ("exp1", "exp3"):
        call(*head_words("alone", sets=[one]))
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert set(contents(tmp_path / "together")) == {
        f"{one}/{fold}/{name}" for one in ("exp1", "exp3") for fold in "12"
        for name in ("final.pt", "train.conf", "train.jsonl")
    }  # fmt: skip
    assert load_model(tmp_path / "together/exp1/2/final.pt").labels == ["ang", "neu", "sad"]


def test_stacked_heads_are_those_of_one_by_one(tmp_path, head_words, call):
    """Label sets with three and with four labels: two stacks of two folds."""
    call(*head_words("alone"))
    call(*head_words("stacked", "--stack", "true"))
    for path in sorted((tmp_path / "alone").rglob("final.pt")):
        one, other = load_model(path), load_model(tmp_path / "stacked" / path.relative_to(tmp_path / "alone"))
        assert other.card["settings"] == one.card["settings"] | {"stacked": True}
        assert one.card["trained_on"] == other.card["trained_on"]
        others = other.network.state_dict()
        for name, tensor in one.network.state_dict().items():
            torch.testing.assert_close(others[name], tensor, atol=1e-4, rtol=0)
    err = call(*head_words("stacked")).err
    assert err.count("finished with these settings and data, skipped") == 4


def test_finished_heads_are_skipped_and_others_trained(tmp_path, head_words, call, monkeypatch):
    call(*head_words("exp", "--folds", 1))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "exp").rglob("final.pt")}
    monkeypatch.setattr(runtime, "computes_bf16", lambda device: True)  # on another processor, as it happens
    err = call(*head_words("exp")).err
    assert err.count("finished with these settings and data, skipped") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    call(*head_words("once"))
    assert contents(tmp_path / "exp") == contents(tmp_path / "once")


def test_a_kill_between_two_heads_leaves_no_old_ones(tmp_path, head_words, call, monkeypatch):
    call(*head_words("exp", "--epochs", 1))
    write, written = HeadRun.write_model, []

    def killed(run, table):
        if written:
            raise KeyboardInterrupt
        written.append(run.final)
        write(run, table)

    with monkeypatch.context() as patch:
        patch.setattr(HeadRun, "write_model", killed)
        call(*head_words("exp"), code=130)
    assert sorted((tmp_path / "exp").rglob("final.pt")) == written
    call(*head_words("exp"))
    call(*head_words("once"))
    assert contents(tmp_path / "exp") == contents(tmp_path / "once")


def test_head_with_infinite_loss_is_named(tmp_path, head_words, call):
    err = call(*head_words("exp", "--learning-rate", 1e30), code=1).err
    assert f"ERROR: {tmp_path}/exp/exp1/1: epoch " in err and "the loss is" in err


def test_head_with_nan_weights_is_not_saved(tmp_path, head_words, call):
    err = call(*head_words("exp", "--epochs", 1, "--batch-size", 1000, "--learning-rate", 1e308), code=1).err
    assert "epoch 1: weights are NaN or infinite" in err and not list((tmp_path / "exp").rglob("*.pt"))


def kill_and_compare(folder, words, kills, *options, same):
    """Kill transfer-head `kills` times; its reruns must end with what a run that was left alone ends with."""
    start_time = time.monotonic()
    assert wait(start(*words("straight", *options))) == 0
    seconds = time.monotonic() - start_time
    hits, rounds = 0, 0
    while hits < kills:  # a run gets to its end after some kills: then another one
        some = min(5, kills - hits)
        kill_at_random(some, 0.7 * seconds, *words(f"killed{rounds}", *options))
        same(folder / f"killed{rounds}", folder / "straight")
        hits, rounds = hits + some, rounds + 1


def same_files(one, other):
    assert contents(one) == contents(other)


def same_heads_up_to_rounding(one, other):
    """Stacks are of other heads after a kill that some heads' checkpoints precede."""
    assert contents(one).keys() == contents(other).keys()
    for path in one.rglob("final.pt"):
        found, expected = (load_model(root / path.relative_to(one)).network.state_dict() for root in (one, other))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_heads_equal_uninterrupted_ones(tmp_path, head_words, kills):
    kill_and_compare(tmp_path, head_words, kills, same=same_files)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "same"),
    [
        ("--grid {}/grid", same_files),
        ("--inner-scores true", same_files),
        ("--grid {}/grid --inner-scores true", same_files),
        ("--stack true --inner-scores true", same_heads_up_to_rounding),
    ],
)
def test_killed_heads_with_inner_folds_equal_uninterrupted_ones(tmp_path, head_words, folds, call, options, same):
    (tmp_path / "grid").write_text("--learning-rate=0.001,0.1\n--weight-decay=0,0.1\n")
    vectors = f"ark:{tmp_path}/whole.ark"
    call("embed-segments", "--at", "pool", tmp_path / "model.pt", f"scp:{tmp_path}/feats.scp", vectors)
    kill_and_compare(tmp_path, head_words, 5, *options.format(tmp_path).split(), "--eval-vectors", vectors, same=same)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_heads_stop_at_a_signal_and_resume(tmp_path, head_words, number):
    assert wait(start(*head_words("straight"))) == 0
    child = start(*head_words("stopped"), log=tmp_path / "log")
    while not (tmp_path / "stopped/exp3/2/state.pt").exists():
        assert running(child)
        time.sleep(0.002)
    os.kill(child, number)
    assert wait(child) == 75
    assert wait(start(*head_words("stopped"), log=tmp_path / "log")) == 0
    log = (tmp_path / "log").read_text()
    assert "run the same command again" in log and "resuming after epoch" in log and "Traceback" not in log
    assert "draws of 0.000123 GB in 32 bits, 3.07e-05 GB an epoch: held in memory" in log
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


def test_heads_train_on_votes_and_record_it(toy, train, call):
    labels = read_list(toy / "utt2label")
    train("speakers", "--epochs", 1)
    draws = ("--draws", 2, "--chunk-frames", 24, toy / "speakers/final.pt", f"scp:{toy}/feats.scp")
    call("embed-segments", *draws, f"ark,scp:{toy}/d.ark,{toy}/d.scp")
    write_list(toy / "votes", {key: f"E1={label} E2=ang" for key, label in labels.items()})
    lists = (toy / "speakers/final.pt", f"scp:{toy}/d.scp", toy / "utt2label", toy / "utt2fold")
    soft = ("--soft-labels", toy / "votes")
    err = call("transfer-head", "--epochs", 2, *soft, *lists, toy / "soft").err
    assert "0 of 40 segments have no vote" in err
    call("transfer-head", "--epochs", 2, *lists, toy / "hard")
    cards = [load_model(toy / name / "1/final.pt").card["settings"] for name in ("soft", "hard")]
    assert [bool(card.get("soft_labels")) for card in cards] == [True, False]
    records = [json.loads((toy / name / "1/train.jsonl").read_text().splitlines()[-1]) for name in ("soft", "hard")]
    assert records[0]["loss"] != records[1]["loss"]


@pytest.mark.parametrize(("rule", "choosers"), [("dev-session", "2341"), ("oracle", "1234")])
def test_each_head_is_of_the_epoch_with_the_best_scores(toy, call, folds, select_heads, rule, choosers):
    select_heads("--select", rule, "--eval-vectors", f"scp:{toy}/w.scp")
    epochs = set()
    for fold, chooser in zip("1234", choosers):
        lines = records(toy / "heads" / fold)
        best = max(lines, key=lambda line: line["dev_ua"])
        truth, guess = decisions(toy, call, toy / "heads" / fold / "final.pt", chooser)
        assert balanced_accuracy_score(truth, guess) == pytest.approx(best["dev_ua"], abs=1e-12)
        record = load_model(toy / "heads" / fold / "final.pt").card["trained_on"]
        assert (record["select"], record["chosen_epoch"], record["fold"]) == (rule, best["epoch"], fold)
        assert record["chosen_on"] == {"fold": chooser, "keys": sorted(key for key in folds if folds[key] == chooser)}
        assert record["keys"] == sorted(key for key in folds if folds[key] not in {fold, chooser})
        epochs.add(best["epoch"])
    assert epochs != {6}


def test_development_fold_without_draws_is_one_line(toy, train, call):
    train("speakers", "--epochs", 1)
    model, keys = toy / "speakers/final.pt", list(read_list(toy / "utt2label"))
    write_list(toy / "utt2fold", {key: "1" if key == keys[0] else "2" if n % 2 else "3" for n, key in enumerate(keys)})
    few = [line for line in (toy / "feats.scp").read_text().splitlines(keepends=True) if not line.startswith(keys[0])]
    (toy / "few.scp").write_text("".join(few))
    draws = ("--draws", 1, "--chunk-frames", 24, model, f"scp:{toy}/few.scp")
    call("embed-segments", *draws, f"ark,scp:{toy}/draws.ark,{toy}/draws.scp")
    call("embed-segments", "--at", "pool", model, f"scp:{toy}/feats.scp", f"ark:{toy}/whole.ark")
    options = ("--select", "oracle", "--eval-vectors", f"ark:{toy}/whole.ark", "--epochs", 1, "--folds", 1)
    err = call(
        "transfer-head", *options, model, f"scp:{toy}/draws.scp", toy / "utt2label", toy / "utt2fold", toy / "h", code=1
    ).err
    assert "fold 1, which --select needs, has no draws" in err
