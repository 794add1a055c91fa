"""Model selection: which epoch, by which fold, and what the card records of it."""

import pytest
import torch
from ranks import Ranks
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from support import wait_for
from trainings import decisions, records, train_words

from sertk.models.modelfile import load_model
from sertk.training import model_selection
from sertk.training.labelling import Labelling


def test_development_fold_follows_the_held_out_one():
    """After the last comes the first."""
    labelling = Labelling(["a", "b"], dict.fromkeys("pqrs", "a"), {"p": "2", "q": "10", "r": "1", "s": "3"})
    after = {fold: model_selection.development_fold(labelling, "dev-session", fold) for fold in ("1", "2", "3", "10")}
    assert after == {"1": "2", "2": "3", "3": "10", "10": "1"}
    assert model_selection.development_fold(labelling, "oracle", "3") == "3"
    assert model_selection.development_fold(labelling, "last", "3") is None


@pytest.mark.parametrize(("rule", "chooser"), [("dev-session", "2"), ("oracle", "1")])
def test_network_is_of_the_epoch_with_the_best_scores(toy, train, call, folds, rule, chooser):
    train("exp", "--epochs", 6, "--learning-rate", 0.05, "--select", rule, "--utt2fold", toy / "utt2fold", "--fold", 1)
    lines = records(toy / "exp")
    best = max(lines, key=lambda line: line["dev_ua"])
    truth, guess = decisions(toy, call, toy / "exp/final.pt", chooser)
    assert balanced_accuracy_score(truth, guess) == pytest.approx(best["dev_ua"], abs=1e-12)
    assert accuracy_score(truth, guess) == pytest.approx(best["dev_wa"], abs=1e-12)
    record = load_model(toy / "exp/final.pt").card["trained_on"]
    assert record["select"] == rule and record["chosen_epoch"] == best["epoch"] and record["fold"] == "1"
    assert record["chosen_on"] == {"fold": chooser, "keys": sorted(key for key in folds if folds[key] == chooser)}
    assert record["keys"] == sorted(key for key in folds if folds[key] not in {"1", chooser})


def test_last_epoch_is_selected_without_scores(toy, train, folds):
    train("exp", "--epochs", 2, "--utt2fold", toy / "utt2fold", "--fold", 1)
    record = load_model(toy / "exp/final.pt").card["trained_on"]
    assert (record["select"], record["chosen_epoch"], "chosen_on" in record) == ("last", 2, False)
    assert not any("dev_ua" in line for line in records(toy / "exp"))


def test_scoring_a_fold_does_not_change_the_training(toy, train, folds):
    options = ("--utt2fold", toy / "utt2fold", "--fold", 4, "--learning-rate", 0.05)
    train("straight", "--epochs", 4, "--select", "oracle", *options)
    train("stopped", "--epochs", 2, "--select", "oracle", *options)
    train("stopped", "--epochs", 4, "--select", "oracle", *options)
    train("last", "--epochs", 4, *options)
    assert (toy / "stopped/final.pt").read_bytes() == (toy / "straight/final.pt").read_bytes()
    assert [a["loss"] for a in records(toy / "last")] == [b["loss"] for b in records(toy / "straight")]
    err = train("last", "--epochs", 5, "--select", "oracle", *options, code=1).err
    assert "select=last, now it is oracle" in err and "--restart true" in err


def words(toy, name, *options):
    fold = ("--utt2fold", toy / "utt2fold", "--fold", 2, "--select", "dev-session", "--learning-rate", 0.05)
    return train_words(toy, name, *fold, *options)


def run_to_its_end(toy, size, name, *options):
    ranks = Ranks(toy, size, words(toy, name, *options))
    codes = ranks.codes(timeout=300)
    assert codes == [0] * size, ranks.errors()


def test_run_killed_after_its_best_epoch_keeps_it(toy, folds):
    options = ("--epochs", 4, "--copies", 2, "--checkpoint-every", 0)
    run_to_its_end(toy, 1, "straight", *options)
    for epochs in (1, 3):
        run = Ranks(toy, 1, words(toy, "killed", *options))
        done = lambda n=epochs: (toy / "killed/train.jsonl").exists() and len(records(toy / "killed")) >= n  # noqa: E731
        wait_for(done)
        run.kill(0)
        run.codes(timeout=300)
    run_to_its_end(toy, 1, "killed", *options)
    assert (toy / "killed/final.pt").read_bytes() == (toy / "straight/final.pt").read_bytes()
    uas = [[line["dev_ua"] for line in records(toy / name)] for name in ("killed", "straight")]
    assert uas[0] == uas[1] and len(uas[0]) == 4


def test_several_processes_select_what_one_does(toy, folds):
    """Process 0 looks alone, while the other waits for it: at the next batch, or at the end."""
    options = ("--epochs", 3, "--augment", "none,3:9:0.2:2:2")
    run_to_its_end(toy, 1, "one", *options)
    run_to_its_end(toy, 2, "two", *options, "--sync-batchnorm", "true")
    one, two = (load_model(toy / name / "final.pt") for name in ("one", "two"))
    assert one.card["trained_on"] == two.card["trained_on"]
    weights = two.network.state_dict()
    for name, tensor in one.network.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-4, rtol=0, msg=name)
    assert [a["dev_ua"] for a in records(toy / "one")] == [b["dev_ua"] for b in records(toy / "two")]
