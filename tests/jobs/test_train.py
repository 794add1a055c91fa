"""Training runs from tables to final.pt: what is learnt, left out, refused."""

import pytest
from toydata import LABELS, SETTINGS
from trainings import decisions, records

from sertk.datadir.lists import read_list, write_list
from sertk.errors import SertkError
from sertk.kaldi.tables import read_manifest
from sertk.models.modelfile import load_model
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard


def test_network_learns_and_its_card_says_what_it_is(toy, train, call):
    train("exp", "--epochs", 8, "--learning-rate", 0.05)
    lines = records(toy / "exp")
    assert [line["epoch"] for line in lines] == list(range(1, 9))
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"] and lines[-1]["accuracy"] > 0.5  # the masks hide most of 16 bins
    assert lines[0]["chunks"] == 120  # 40 segments, three versions each
    model = load_model(toy / "exp/final.pt")
    assert model.labels == LABELS and model.frontend == SETTINGS
    assert model.card["trained_on"]["labels"] == dict.fromkeys(LABELS, 10)
    call("predict-emotion", toy / "exp/final.pt", f"scp:{toy}/feats.scp", f"ark,t:{toy}/post.txt")
    truth, right = read_list(toy / "utt2label"), 0
    for line in (toy / "post.txt").read_text().splitlines():
        key, *numbers = line.replace("[", "").replace("]", "").split()
        values = [float(number) for number in numbers]
        assert sum(values) == pytest.approx(1, abs=1e-4)
        right += LABELS[values.index(max(values))] == truth[key]
    assert right > 30


def test_rewritten_features_leave_the_front_end_unknown(toy, train):
    """The manifest beside them says what the features were that stood there before."""
    archive = toy / "feats.ark"
    data = bytearray(archive.read_bytes())
    data[-1] ^= 1
    archive.write_bytes(data)
    err = train("exp", "--epochs", 1).err
    assert "feats.manifest does not match" in err and load_model(toy / "exp/final.pt").frontend == {}
    assert f"WARNING: scp:{toy}/feats.scp: no manifest records how these features were computed" in err


def test_held_out_fold_is_not_trained_on(toy, train):
    train("exp", "--epochs", 1, "--utt2fold", toy / "utt2fold", "--fold", 2)
    model = load_model(toy / "exp/final.pt")
    assert model.card["trained_on"]["segments"] == 20 and model.card["trained_on"]["fold"] == "2"
    err = train("other", "--epochs", 1, "--utt2fold", toy / "utt2fold", "--fold", 7, code=1).err
    assert not (toy / "other").exists()
    assert "there is no fold '7' (folds: 1 2)" in err


def test_labels_without_features_are_counted(toy, train):
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", labels | {"spk9-utt999": "ang"})
    assert "skipped spk9-utt999: labelled, but not in" in train("exp", "--epochs", 1).err
    write_list(toy / "utt2label", labels | {f"spk9-utt99{i}": "ang" for i in range(9)})
    assert (
        "9 of 49 labelled segments are not in it, the first is spk9-utt990" in train("more", "--epochs", 1, code=1).err
    )


def test_single_chunk_is_too_few(toy, train):
    write_list(toy / "utt2label", dict(list(read_list(toy / "utt2label").items())[:2]))
    write_list(toy / "utt2fold", {key: str(n) for n, key in enumerate(read_list(toy / "utt2label"))})
    folds = ("--utt2fold", toy / "utt2fold", "--fold", 1)
    assert "BatchNorm needs at least two" in train("exp", "--epochs", 1, "--augment", "none", *folds, code=1).err


def test_impossible_selection_is_one_line(toy, train, folds):
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


def test_fold_without_labelled_segments_selects_nothing(toy, train):
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


def test_scores_are_stamped_by_what_selected_the_epoch(toy, train, call, folds):
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
