import json

import pytest
import torch
from toydata import LABELS, SETTINGS

from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model
from sertk.training.schedule import HalvingSchedule


def records(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def test_the_learning_rate_is_halved_every_other_epoch_after_eight():
    schedule = HalvingSchedule(0.01, hold_epochs=8, halve_every=2)
    rates = [schedule.rate(epoch) for epoch in range(1, 14)]
    assert rates == [0.01] * 8 + [0.005] * 2 + [0.0025] * 2 + [0.00125]
    # 20 epochs hold 99.7 % of all the learning rate there is.
    assert sum(map(schedule.rate, range(1, 21))) / sum(map(schedule.rate, range(1, 200))) == pytest.approx(
        0.997, abs=5e-4
    )


def test_a_network_learns_and_its_file_says_what_it_is(toy, train, call):
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


def test_features_written_again_leave_the_front_end_unknown(toy, train):
    """The manifest beside them says what the features were that stood there before."""
    archive = toy / "feats.ark"
    data = bytearray(archive.read_bytes())
    data[-1] ^= 1
    archive.write_bytes(data)
    err = train("exp", "--epochs", 1).err
    assert "feats.manifest does not match" in err and load_model(toy / "exp/final.pt").frontend == {}


def test_a_held_out_fold_is_not_trained_on(toy, train):
    train("exp", "--epochs", 1, "--utt2fold", toy / "utt2fold", "--fold", 2)
    model = load_model(toy / "exp/final.pt")
    assert model.card["trained_on"]["segments"] == 20 and model.card["trained_on"]["fold"] == "2"
    err = train("other", "--epochs", 1, "--utt2fold", toy / "utt2fold", "--fold", 7, code=1).err
    assert not (toy / "other").exists()
    assert "there is no fold '7' (folds: 1 2)" in err


@pytest.mark.parametrize(
    ("part", "unchanged", "changed"),
    [
        ("head", ["stem.weight", "stages.3.0.conv2.weight", "stages.3.0.bn2.running_mean"], []),
        ("from-block-3", ["bn.running_var", "stages.1.0.conv1.weight"], ["stages.2.0.conv1.weight"]),
        ("all", [], ["stem.weight", "bn.running_mean"]),
    ],
)  # fmt: skip
def test_what_is_frozen_keeps_weights_and_statistics(toy, train, part, unchanged, changed):
    train("speakers", "--epochs", 1)
    before = load_model(toy / "speakers/final.pt").network.state_dict()
    write_list(toy / "utt2label", {key: label + "2" for key, label in read_list(toy / "utt2label").items()})
    err = train("tuned", "--epochs", 1, "--init", toy / "speakers/final.pt", "--train", part,
                network=("--chunk-frames", "24,32", "--num-threads", 1)).err  # fmt: skip
    assert "the trunk is kept, the head of 4 labels is replaced by one of 4" in err
    after = load_model(toy / "tuned/final.pt").network.state_dict()
    assert all(torch.equal(before[f"trunk.{name}"], after[f"trunk.{name}"]) for name in unchanged)
    assert not any(torch.equal(before[f"trunk.{name}"], after[f"trunk.{name}"]) for name in changed)
    assert not torch.equal(before["head.output.weight"], after["head.output.weight"])


def test_the_head_is_kept_where_the_labels_are_the_same(toy, train):
    train("first", "--epochs", 1)
    err = train("second", "--epochs", 1, "--init", toy / "first/final.pt", "--learning-rate", 1e-9).err
    assert "trunk and head are kept" in err
    pair = [load_model(toy / name / "final.pt").network.head.output.weight for name in ("first", "second")]
    torch.testing.assert_close(*pair, atol=1e-6, rtol=0)


def test_options_that_contradict_the_initial_model_are_refused(toy, train):
    train("first", "--epochs", 1)
    init = ("--epochs", 1, "--init", toy / "first/final.pt")
    assert "--channels: " in train("second", *init, "--channels", 4, code=1).err
    assert (
        "must be all, head or from-block-N with N from 1 to 4"
        in train("second", *init, "--train", "from-block-9", code=1).err
    )


def test_a_trunk_with_pooling_is_taken_over_by_a_network_without(toy, train):
    train("first", "--epochs", 1)
    before = load_model(toy / "first/final.pt").network
    init = ("--epochs", 1, "--init", toy / "first/final.pt", "--pooling", "none", "--num-threads", 1)
    assert "give --chunk-frames one number" in train("flat", *init, network=(), code=1).err
    err = train("flat", *init, "--chunk-frames", 24, "--train", "head", network=()).err
    assert "the head of 4 labels is replaced by one of 4" in err  # the same labels, but another pooling
    after = load_model(toy / "flat/final.pt").network
    assert (after.spec.pooling, after.spec.frames, after.head.embedding.in_features) == ("none", 24, 16 * 2 * 3)
    assert all(torch.equal(a, b) for a, b in zip(before.trunk.parameters(), after.trunk.parameters()))
    back = ("--epochs", 1, "--init", toy / "flat/final.pt", "--num-threads", 1)
    assert "give --chunk-frames 24" in train("again", *back, network=(), code=1).err
    train("again", *back, "--pooling", "stats", network=())
    assert load_model(toy / "again/final.pt").network.spec == before.spec


def test_a_loss_that_is_no_number_stops_with_the_segments_named(toy, train):
    err = train("exp", "--epochs", 3, "--learning-rate", 1e30, code=1).err
    assert "the loss is nan" in err or "the loss is inf" in err
    assert "spk0-utt" in err and err.strip().count("\n") <= 2


def test_labels_without_features_are_counted_and_too_many_refused(toy, train):
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", labels | {"spk9-utt999": "ang"})
    assert "skipped spk9-utt999: labelled, but not in" in train("exp", "--epochs", 1).err
    write_list(toy / "utt2label", labels | {f"spk9-utt99{i}": "ang" for i in range(9)})
    assert (
        "9 of 49 labelled segments are not in it, the first is spk9-utt990" in train("more", "--epochs", 1, code=1).err
    )
