import numpy as np
import pytest
import torch
from toydata import NETWORK

from sertk.data.keyed_random import Draws
from sertk.data.store import load_store, store_of
from sertk.datadir.lists import read_list, write_list
from sertk.jobs.drawtable import head_spec
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model
from sertk.models.resnet import Head
from sertk.training.head import HeadTraining, train_heads, with_head
from sertk.training.settings import HeadSettings, TrainingSettings
from sertk.training.targets import Targets
from sertk.training.trunk_pass import DrawPlan, draw_vectors

EPOCHS = 3


@pytest.fixture
def speakers(toy, train):
    """A trunk trained on other labels than those that the heads learn."""
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", {key: key.split("-")[0] for key in labels})
    train("speakers", "--epochs", 2)
    write_list(toy / "utt2label", labels)
    return toy / "speakers/final.pt"


@pytest.fixture
def draws(toy, speakers, call):
    table = f"ark,scp:{toy}/draws.ark,{toy}/draws.scp"
    call("embed-segments", "--draws", EPOCHS, "--chunk-frames", "24,32", speakers, f"scp:{toy}/feats.scp", table)
    return f"scp:{toy}/draws.scp"


def transfer(toy, call, speakers, draws, *options, name="heads", code=0):
    words = ("--epochs", EPOCHS, *options, speakers, draws, toy / "utt2label", toy / "utt2fold", toy / name)
    return call("transfer-head", *words, code=code)


def test_heads_are_trained_for_each_fold_and_recognise_the_one_held_out(toy, call, speakers, draws):
    transfer(toy, call, speakers, draws, "--learning-rate", 0.05, "--batch-size", 8)
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


def test_only_the_head_differs_from_the_speaker_network(toy, call, speakers, draws):
    transfer(toy, call, speakers, draws)
    before = load_model(speakers).network.state_dict()
    after = load_model(toy / "heads/1/final.pt").network.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items() if name.startswith("trunk"))
    assert after["head.output.bias"].shape == (4,)


def test_a_fold_alone_is_the_fold_among_others(toy, call, speakers, draws):
    transfer(toy, call, speakers, draws)
    transfer(toy, call, speakers, draws, "--folds", 2, name="alone")
    assert (toy / "heads/2/final.pt").read_bytes() == (toy / "alone/2/final.pt").read_bytes()
    assert not (toy / "alone/1").exists()


@pytest.mark.parametrize(("at", "lengths"), [("pool", (24, 32)), ("map", (24,))])
@pytest.mark.parametrize("resident_bytes", [1 << 30, 0])
def test_a_head_trained_from_draws_is_the_head_trained_through_the_frozen_trunk(
    toy, speakers, at, lengths, resident_bytes
):
    """The obvious way: every epoch's chunks are passed through the frozen trunk, batch by batch."""
    model, store = load_model(speakers), load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings().chunk_rule(), EPOCHS, lengths)
    settings = HeadSettings(epochs=EPOCHS)
    truth = read_list(toy / "utt2label")
    names = sorted(set(truth.values()))
    spec = head_spec(model, {"at": at, "chunk_frames": list(lengths)}, 4)
    network = with_head(model.network, spec, Head(spec))
    targets = Targets(torch.tensor([names.index(truth[key]) for key in store.keys]))
    cpu = torch.device("cpu")

    def training():
        return HeadTraining(spec, np.arange(0, 40, 2), targets, settings, cpu)

    table = dict(draw_vectors(model.network, store, plan, at, cpu))
    fast = training()
    drawn = store_of(store.keys, [table[key] for key in store.keys])
    for _ in train_heads({"1": fast}, {"1": np.arange(40)}, drawn, cpu, resident_bytes=resident_bytes):
        pass

    slow = training()
    for epoch in range(EPOCHS):

        @torch.no_grad()
        def through_the_trunk(segments, versions, epoch=epoch):
            rows = [plan.chunk(store[int(s)], 3 * epoch + int(v)) for s, v in zip(segments, versions)]
            return torch.cat([network.pooled(torch.from_numpy(row.T.copy())[None]) for row in rows])

        slow.train_epoch(through_the_trunk)
    for a, b in zip(fast.head.parameters(), slow.head.parameters()):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_draws_are_those_that_seed_segment_epoch_and_version_say(toy):
    store = load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings(seed=5).chunk_rule(), 2, (24, 32))
    frames = Draws(5, "chunk", store.keys[7], 2, 1).choice((24, 32))
    assert plan.chunk(store[7], 4).shape == (frames, 16) and plan.rows == 6


def test_draws_of_a_part_of_the_segments_are_the_same_rows(toy, speakers):
    model, store = load_model(speakers), load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings().chunk_rule(), 1, (24, 32))
    whole = dict(draw_vectors(model.network, store, plan, "pool", torch.device("cpu")))
    part = dict(draw_vectors(model.network, store.only(lambda key: key < "spk2"), plan, "pool", torch.device("cpu")))
    assert 0 < len(part) < len(whole)
    for key, rows in part.items():
        np.testing.assert_allclose(rows, whole[key], atol=1e-5)


def test_draws_of_another_model_or_too_few_are_refused(toy, call, train, speakers, draws):
    assert (
        "spk0-utt000 has 9 rows, 20 epochs of 3 versions take 60"
        in transfer(toy, call, speakers, draws, "--epochs", 20, code=1).err
    )
    train("other", "--epochs", 1)
    assert "made by another model" in transfer(toy, call, toy / "other/final.pt", draws, code=1).err
    err = transfer(toy, call, speakers, f"scp:{toy}/feats.scp", code=1).err
    assert "rows of 16 numbers, the pooling of" in err


def test_features_of_another_front_end_are_refused(toy, call, speakers):
    from sertk.kaldi.tables import table_writer

    with table_writer(
        f"ark,scp:{toy}/o.ark,{toy}/o.scp", settings={"fbank": {"num-mel-bins": 80}, "cmvn": "segment"}
    ) as write:
        write("a", np.zeros((20, 16), np.float32))
    err = call("predict-emotion", speakers, f"scp:{toy}/o.scp", "ark,t:-", code=1).err
    assert "fbank.num-mel-bins=80, but" in err and "num-mel-bins=16" in err


def test_a_network_without_pooling_transfers_too(toy, call, train):
    network = (*NETWORK, "--pooling", "none", "--chunk-frames", "24")
    train("flat", "--epochs", 1, network=network)
    table = f"ark,scp:{toy}/d.ark,{toy}/d.scp"
    call("embed-segments", "--draws", EPOCHS, toy / "flat/final.pt", f"scp:{toy}/feats.scp", table)
    transfer(toy, call, toy / "flat/final.pt", f"scp:{toy}/d.scp", name="flatheads")
    call("predict-emotion", toy / "flatheads/1/final.pt", f"scp:{toy}/feats.scp", f"ark:{toy}/p.ark")


def test_heads_without_pooling_grow_on_a_trunk_that_was_trained_with_it(toy, call, speakers):
    table = f"ark,scp:{toy}/m.ark,{toy}/m.scp"
    call(
        "embed-segments",
        "--draws",
        EPOCHS,
        "--at",
        "map",
        "--chunk-frames",
        24,
        speakers,
        f"scp:{toy}/feats.scp",
        table,
    )
    transfer(toy, call, speakers, f"scp:{toy}/m.scp", name="flatheads")
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


def test_maps_of_several_lengths_are_refused(toy, call, speakers):
    words = (speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/m.ark")
    assert "--chunk-frames one number" in call("embed-segments", "--draws", 2, "--at", "map", *words, code=2).err
    assert "--at map takes --draws" in call("embed-segments", "--at", "map", "--chunk-frames", 24, *words, code=2).err


def test_draws_take_half_the_room_in_16_bits(toy, call, speakers):
    sizes, tables = [], []
    for form in ("none", "cm2"):
        table = f"ark,scp:{toy}/{form}.ark,{toy}/{form}.scp"
        words = ("--draws", 1, "--compress", form, "--chunk-frames", 24)
        call("embed-segments", *words, speakers, f"scp:{toy}/feats.scp", table)
        sizes.append((toy / f"{form}.ark").stat().st_size)
        tables.append(dict(read_table(f"scp:{toy}/{form}.scp")))
    # Two bytes a number instead of four; the header of a compressed matrix is 7 bytes longer.
    assert sizes[0] - sizes[1] == sum(2 * exact.size - 7 for exact in tables[0].values())
    for key, exact in tables[0].items():
        np.testing.assert_allclose(tables[1][key], exact, atol=np.ptp(exact) / 65535)
    words = ("--compress", "cm2", speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/v.ark")
    assert "--compress is for --draws" in call("embed-segments", *words, code=2).err


def test_slopes_are_not_decayed():
    from sertk.models.resnet import Head, NetworkSpec
    from sertk.training.freezing import decay_groups

    groups = decay_groups(Head(NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)), 0.1)
    assert [(group["weight_decay"], sum(p.numel() for p in group["params"])) for group in groups] == [
        (0.1, 64 * 8 + 8 + 16 + 8 * 4 + 4),
        (0.0, 1),
    ]
