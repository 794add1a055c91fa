import random

import pytest
import torch

from sertk.errors import SertkError
from sertk.models.modelfile import Model, check_frontend, load_model, load_weights, save_model
from sertk.models.resnet import NetworkSpec, ResNet

SPEC = NetworkSpec(3, bins=8, channels=2, blocks=(1, 1, 1, 1), embedding_dim=4)


def model():
    torch.manual_seed(0)
    return Model(ResNet(SPEC), ["ang", "neu", "sad"], {"cmvn": "segment", "fbank": {"num-mel-bins": 8}}, {"seed": 0})


def test_a_model_comes_back_as_it_was(tmp_path):
    saved = model()
    save_model(tmp_path / "final.pt", saved)
    loaded = load_model(tmp_path / "final.pt")
    assert (loaded.labels, loaded.frontend, loaded.card) == (saved.labels, saved.frontend, saved.card)
    assert loaded.network.spec == SPEC and len(loaded.digest) == 64
    for name, tensor in saved.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)


def test_the_same_model_is_the_same_bytes(tmp_path):
    for name in ("a.pt", "b.pt"):
        save_model(tmp_path / name, model())
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


@pytest.mark.parametrize("flips", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_flipped_bit_that_changes_the_content_is_noticed(tmp_path, flips):
    path = tmp_path / "final.pt"
    save_model(path, model())
    whole, digest = path.read_bytes(), load_model(path).digest
    noticed, rng = 0, random.Random(0)
    for _ in range(flips):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            # Bits of the archive's own padding, dates and checksums are no part of the model.
            assert load_model(path).digest == digest
        except SertkError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            noticed += 1
    assert noticed > flips / 7


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1])
def test_a_model_cut_short_is_one_clear_line(tmp_path, cut):
    path = tmp_path / "final.pt"
    save_model(path, model())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SertkError, match=r"final\.pt: .*(cut short|cannot be read)"):
        load_model(path)


def test_reading_a_model_runs_no_code(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "final.pt"
    torch.save({"format": "sertk-model-1", "network": Hostile()}, path)
    with pytest.raises(SertkError, match="cannot be read as a model file"):
        load_model(path)
    assert not (tmp_path / "ran").exists()


def test_weights_must_match_by_name_and_shape(tmp_path):
    weights = dict(ResNet(SPEC).state_dict())
    network = ResNet(NetworkSpec(4, bins=8, channels=2, blocks=(1, 1, 1, 1), embedding_dim=4))
    with pytest.raises(SertkError, match=r"head\.output\.bias: expected \(4,\), found \(3,\)"):
        load_weights(network, weights, tmp_path)
    del weights["trunk.bn.bias"]
    with pytest.raises(SertkError, match=r"trunk\.bn\.bias: expected \(2,\), found none"):
        load_weights(ResNet(SPEC), weights, tmp_path)
    weights = dict(ResNet(SPEC).state_dict()) | {"extra": torch.zeros(1)}
    with pytest.raises(SertkError, match=r"extra: expected none, found \(1,\)"):
        load_weights(ResNet(SPEC), weights, tmp_path)


def test_enrolled_features_are_those_of_the_same_map():
    """A model on features of cmvn-segment --utt2group takes those of --enrol, and the other way round; not of another map."""
    by_speaker = {"fbank": {"num-mel-bins": 8}, "cmvn": "group", "group": "utt2spk", "transductive": True}
    some, others = by_speaker | {"enrolled": "ten.utts"}, by_speaker | {"enrolled": "twenty.utts"}
    for of_model, of_features in ((by_speaker, some), (some, by_speaker), (some, others)):
        check_frontend(Model(ResNet(SPEC), [], of_model), of_features, "final.pt", "scp:n.scp")
    with pytest.raises(SertkError, match=r"scp:n\.scp: features with group=utt2dialog"):
        check_frontend(Model(ResNet(SPEC), [], by_speaker), some | {"group": "utt2dialog"}, "final.pt", "scp:n.scp")
    with pytest.raises(SertkError, match=r"scp:n\.scp: features with cmvn=group"):
        check_frontend(model(), some, "final.pt", "scp:n.scp")
