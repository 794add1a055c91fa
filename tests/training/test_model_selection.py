"""Which epoch's network is kept, and what its card says of it."""

import copy
import json

import pytest
import torch
from ranks import Ranks, wait_for
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from toydata import LABELS, NETWORK

from sertk.data.store import load_store
from sertk.datadir.lists import read_list, write_list
from sertk.errors import SertkError
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.scoring.protocol import Corpus, Guard
from sertk.training import model_selection
from sertk.training.distributed import World
from sertk.training.labelling import Labelling
from sertk.training.loop import Training, seeded
from sertk.training.settings import TrainingSettings
from sertk.training.targets import Targets


@pytest.fixture
def folds(toy):
    """Four folds, each with every label."""
    fold_of = {key: str(1 + int(key[-3:]) // 4 % 4) for key in read_list(toy / "utt2label")}
    write_list(toy / "utt2fold", fold_of)
    return fold_of


def records(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def decisions(toy, call, model, fold):
    """The labels of a fold's segments and what `model` takes them for."""
    scores = f"ark,scp:{toy}/{fold}.ark,{toy}/{fold}.scp"
    call("predict-emotion", "--utt2fold", toy / "utt2fold", "--fold", fold, model, f"scp:{toy}/feats.scp", scores)
    truth = read_list(toy / "utt2label")
    found = [(truth[key], LABELS[p.argmax()]) for key, p in read_table(f"scp:{toy}/{fold}.scp", kind="vector")]
    return zip(*found)


def test_the_choosing_fold_is_the_one_after_the_held_out_and_the_first_after_the_last():
    labelling = Labelling(["a", "b"], dict.fromkeys("pqrs", "a"), {"p": "2", "q": "10", "r": "1", "s": "3"})
    after = {fold: model_selection.development_fold(labelling, "dev-session", fold) for fold in ("1", "2", "3", "10")}
    assert after == {"1": "2", "2": "3", "3": "10", "10": "1"}
    assert model_selection.development_fold(labelling, "oracle", "3") == "3"
    assert model_selection.development_fold(labelling, "last", "3") is None


@pytest.mark.parametrize(("rule", "chooser"), [("dev-session", "2"), ("oracle", "1")])
def test_the_kept_network_is_the_one_whose_figures_were_the_best(toy, train, call, folds, rule, chooser):
    train("exp", "--epochs", 6, "--learning-rate", 0.05, "--select", rule, "--utt2fold", toy / "utt2fold", "--fold", 1)
    lines = records(toy / "exp")
    best = max(lines, key=lambda line: line["dev_ua"])
    truth, guess = decisions(toy, call, toy / "exp/final.pt", chooser)
    assert balanced_accuracy_score(truth, guess) == pytest.approx(best["dev_ua"], abs=1e-12)
    assert accuracy_score(truth, guess) == pytest.approx(best["dev_wa"], abs=1e-12)
    said = load_model(toy / "exp/final.pt").card["trained_on"]
    assert said["select"] == rule and said["chosen_epoch"] == best["epoch"] and said["fold"] == "1"
    assert said["chosen_on"] == {"fold": chooser, "keys": sorted(key for key in folds if folds[key] == chooser)}
    assert said["keys"] == sorted(key for key in folds if folds[key] not in {"1", chooser})


def test_the_last_epoch_needs_no_look_at_any_fold(toy, train, folds):
    train("exp", "--epochs", 2, "--utt2fold", toy / "utt2fold", "--fold", 1)
    said = load_model(toy / "exp/final.pt").card["trained_on"]
    assert (said["select"], said["chosen_epoch"], "chosen_on" in said) == ("last", 2, False)
    assert not any("dev_ua" in line for line in records(toy / "exp"))


def test_the_first_of_equally_good_epochs_is_kept_over_a_resumption(toy):
    store = load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    truth = read_list(toy / "utt2label")
    targets = Targets(torch.tensor([LABELS.index(truth[key]) for key in store.keys]))
    uas, seen = [0.2, 0.5, 0.5, 0.4], []

    def scorer(network):
        network.eval()
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"dev_ua": uas[len(seen) - 1]}

    saved = []
    for epochs in (2, 4):  # as if it had been killed after the second
        network = seeded(lambda: ResNet(NetworkSpec(4, 16, 2, (1, 1, 1, 1), embedding_dim=8)), 0)
        settings = TrainingSettings(epochs=epochs, chunk_frames=(24,), augment=("none",))
        training = Training(network, store, targets, settings, torch.device("cpu"), World(), scorer=scorer,
                            progress=saved[-1] if saved else None, save=lambda p: saved.append(copy.deepcopy(p)))  # fmt: skip
        training.run(lambda *_: None)
    assert not torch.equal(network.state_dict()["head.output.bias"], seen[1]["head.output.bias"])
    kept, epoch = training.selected()
    assert epoch == 2 and len(seen) == 4
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in kept.state_dict().items())


def test_looking_at_a_fold_does_not_change_the_training_and_survives_a_stop(toy, train, folds):
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
    return [*NETWORK, *fold, *options, f"scp:{toy}/feats.scp", toy / "utt2label", toy / name]


def run_to_its_end(toy, size, name, *options):
    ranks = Ranks(toy, size, words(toy, name, *options))
    codes = ranks.codes(timeout=300)
    assert codes == [0] * size, ranks.errors()


def test_a_run_killed_after_its_best_epoch_still_keeps_it(toy, folds):
    options = ("--epochs", 4, "--copies", 2, "--checkpoint-every", 0)
    run_to_its_end(toy, 1, "straight", *options)
    for epochs in (1, 3):
        run = Ranks(toy, 1, words(toy, "killed", *options))
        done = lambda n=epochs: (toy / "killed/train.jsonl").exists() and len(records(toy / "killed")) >= n  # noqa: E731
        wait_for(done, timeout=300)
        run.kill(0)
        run.codes(timeout=300)
    run_to_its_end(toy, 1, "killed", *options)
    assert (toy / "killed/final.pt").read_bytes() == (toy / "straight/final.pt").read_bytes()
    uas = [[line["dev_ua"] for line in records(toy / name)] for name in ("killed", "straight")]
    assert uas[0] == uas[1] and len(uas[0]) == 4


def test_several_processes_choose_what_one_does(toy, folds):
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


def test_scores_are_stamped_or_refused_by_what_chose(toy, train, call, folds):
    held_out = [key for key in folds if folds[key] == "1"]
    for rule, stamps in (("dev-session", []), ("oracle", ["LEAKY"])):
        train(rule, "--epochs", 1, "--select", rule, "--utt2fold", toy / "utt2fold", "--fold", 1)
        decisions(toy, call, toy / rule / "final.pt", "1")
        guard, settings = Guard(), read_manifest(f"scp:{toy}/1.scp").settings
        guard.check("scores", settings, held_out, Corpus(folds))
        assert guard.stamps == stamps
        if rule == "dev-session":
            with pytest.raises(SertkError, match=r"test segment .* in its training"):
                guard.check("scores", settings, [key for key in folds if folds[key] == "2"], Corpus(folds))


def test_a_rule_that_cannot_be_followed_is_one_line(toy, train, folds):
    err = train("exp", "--select", "oracle", code=2).err
    assert "--select oracle needs a held-out fold: give --utt2fold and --fold" in err
    fold_of = ("--utt2fold", toy / "utt2fold", "--select", "dev-session", "--fold")
    assert "there is no fold '7' (folds: 1 2 3 4)" in train("exp", *fold_of, 7, code=1).err
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", {key: "odd" if folds[key] in "12" and labels[key] == "ang" else label
                                   for key, label in labels.items()})  # fmt: skip
    assert "with the folds 1 and 2 held out no segment of 'odd' is left" in train("exp", *fold_of, 1, code=1).err
    write_list(toy / "utt2fold", {key: str(1 + int(fold) % 2) for key, fold in folds.items()})
    err = train("exp", *fold_of, 1, code=1).err
    assert "--select dev-session takes a fold of the training away, and there are only 2 folds" in err
    assert not (toy / "exp").exists()


@pytest.fixture
def transfer(toy, train, call, folds):
    """transfer("--select", "oracle", …): transfer-head on a speaker network's draws into heads/, of two epochs or more."""
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", {key: key.split("-")[0] for key in labels})
    train("speakers", "--epochs", 1)
    write_list(toy / "utt2label", labels)
    speakers, feats = toy / "speakers/final.pt", f"scp:{toy}/feats.scp"
    call("embed-segments", "--draws", 6, "--chunk-frames", "24,32", speakers, feats, f"ark,scp:{toy}/d.ark,{toy}/d.scp")
    call("embed-segments", "--at", "pool", speakers, feats, f"ark,scp:{toy}/w.ark,{toy}/w.scp")

    def run(*options, code=0, draws=f"scp:{toy}/d.scp", model=speakers):
        lists = (toy / "utt2label", toy / "utt2fold", toy / "heads")
        return call("transfer-head", "--epochs", 6, "--learning-rate", 0.1, *options, model, draws, *lists, code=code)

    return run


@pytest.mark.parametrize(("rule", "choosers"), [("dev-session", "2341"), ("oracle", "1234")])
def test_every_folds_head_is_the_one_whose_figures_were_the_best(toy, call, folds, transfer, rule, choosers):
    transfer("--select", rule, "--eval-vectors", f"scp:{toy}/w.scp")
    epochs = set()
    for fold, chooser in zip("1234", choosers):
        lines = records(toy / "heads" / fold)
        best = max(lines, key=lambda line: line["dev_ua"])
        truth, guess = decisions(toy, call, toy / "heads" / fold / "final.pt", chooser)
        assert balanced_accuracy_score(truth, guess) == pytest.approx(best["dev_ua"], abs=1e-12)
        said = load_model(toy / "heads" / fold / "final.pt").card["trained_on"]
        assert (said["select"], said["chosen_epoch"], said["fold"]) == (rule, best["epoch"], fold)
        assert said["chosen_on"] == {"fold": chooser, "keys": sorted(key for key in folds if folds[key] == chooser)}
        assert said["keys"] == sorted(key for key in folds if folds[key] not in {fold, chooser})
        epochs.add(best["epoch"])
    assert epochs != {6}


def test_what_cannot_choose_a_heads_epoch_is_one_line(toy, call, train, folds, transfer):
    vectors = ("--eval-vectors", f"scp:{toy}/w.scp")
    for wrong in (vectors, ("--select", "oracle")):
        err = transfer(*wrong, code=2).err
        assert "--eval-vectors goes with --select dev-session and --select oracle" in err
    select = ("--select", "dev-session", "--eval-vectors")
    lines = (toy / "w.scp").read_text().splitlines(keepends=True)
    (toy / "few.scp").write_text("".join(lines[2:]))
    assert (
        "2 of 40 segments are not in it, the first is spk0-utt000"
        in transfer(*select, f"scp:{toy}/few.scp", code=1).err
    )
    train("other", "--epochs", 1)
    call("embed-segments", "--at", "pool", toy / "other/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/o.ark")
    assert "these vectors were made by another model" in transfer(*select, f"ark:{toy}/o.ark", code=1).err
    call("embed-segments", toy / "speakers/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/e.ark")
    err = transfer(*select, f"ark:{toy}/e.ark", code=1).err
    assert "spk0-utt000: 8 numbers, the pooling of" in err and "gives 64 (embed-segments --at pool)" in err
    maps = ("--draws", 6, "--at", "map", "--chunk-frames", 24, toy / "speakers/final.pt", f"scp:{toy}/feats.scp")
    call("embed-segments", *maps, f"ark,scp:{toy}/m.ark,{toy}/m.scp")
    err = transfer(*select, f"scp:{toy}/w.scp", draws=f"scp:{toy}/m.scp", code=1).err
    assert "a head without pooling takes maps, not vectors of whole segments: --select last" in err
    assert not (toy / "heads").exists()


def test_a_fold_without_labelled_segments_chooses_nothing(toy, train):
    """utt2fold may cover more than a task's labels: the next fold is the next one that has some."""
    folds, labels = read_list(toy / "utt2fold"), read_list(toy / "utt2label")
    spread = {key: str(1 + number % 4) for number, key in enumerate(folds)}
    write_list(toy / "utt2fold", spread)
    write_list(toy / "utt2label", {key: label for key, label in labels.items() if spread[key] != "2"})
    held_out = ("--utt2fold", toy / "utt2fold", "--fold")
    train("exp", "--epochs", 1, "--select", "dev-session", *held_out, 1)
    assert load_model(toy / "exp/final.pt").card["trained_on"]["chosen_on"]["fold"] == "3"
    err = train("other", "--epochs", 1, "--select", "oracle", *held_out, 2, code=1).err
    assert "there is no fold '2' (folds: 1 3 4)" in err


def test_a_choosing_fold_without_draws_is_one_line(toy, train, call):
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
