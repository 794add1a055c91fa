"""average-models: the models it refuses, the file it does not overwrite."""

from toydata import NETWORK

from sertk.datadir.lists import read_list, write_list
from sertk.models.modelfile import load_model, save_model


def test_models_of_different_kinds_are_refused(toy, train, call):
    """Other networks, labels or front ends, a model without a card, one model alone."""
    train("exp", "--epochs", 1)
    first = toy / "exp/final.pt"
    train("wide", "--epochs", 1, network=("--channels", 3, *NETWORK[2:]))
    err = call("average-models", first, toy / "wide/final.pt", toy / "mean.pt", code=1).err
    assert f"{toy}/wide/final.pt: channels 3, but {first} has 2" in err
    labels = read_list(toy / "utt2label")
    write_list(toy / "utt2label", {key: label.upper() for key, label in labels.items()})
    train("loud", "--epochs", 1)
    err = call("average-models", first, toy / "loud/final.pt", toy / "mean.pt", code=1).err
    assert "labels ANG HAP NEU SAD, but" in err
    other = load_model(first)
    other.frontend = {"fbank": {"num-mel-bins": 80}}
    save_model(toy / "other.pt", other)
    assert "front end {'fbank': " in call("average-models", first, toy / "other.pt", toy / "mean.pt", code=1).err
    other = load_model(first)
    other.card = {}
    save_model(toy / "silent.pt", other)
    err = call("average-models", first, toy / "silent.pt", toy / "mean.pt", code=1).err
    assert "silent.pt does not record what it was trained on" in err and not (toy / "mean.pt").exists()
    assert "at least two models are needed" in call("average-models", first, toy / "mean.pt", code=2).err


def test_model_is_not_overwritten_if_out_is_forgotten(toy, train, call):
    train("exp", "--epochs", 3, "--keep", 3)
    paths = [toy / f"exp/epoch.{n}.pt" for n in (1, 2, 3)]
    before = paths[2].read_bytes()
    assert "epoch.3.pt: exists and is not an averaged model" in call("average-models", *paths, code=1).err
    assert paths[2].read_bytes() == before
    call("average-models", *paths, toy / "mean.pt")
    call("average-models", *paths, toy / "mean.pt")
