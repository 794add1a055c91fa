"""import-resnet from another toolkit's checkpoint to embeddings, heads, fine-tuning and the leak guard."""

import json

import numpy as np
import pytest
import soundfile
from foreign_weights import file_forms, speech, weights

import sertk
from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model
from sertk.report.card import imported

LICENCE, DECLARED = "CC BY 4.0", "VoxCeleb2 dev, 5994 speakers"
SPEAKERS = [f"id{number:05}" for number in range(12)]


@pytest.fixture
def place(here, call):
    """avg_model.pt and recordings of two labels in two folds; imported as model.pt, features in feats.scp."""
    (here / "avg_model.pt").write_bytes(file_forms(weights(channels=2))["averaged"])
    scp, labels, folds = {}, {}, {}
    for number in range(8):
        key = f"spk{number % 4}-{number}"
        # Stereo, of which the second channel is another recording.
        samples = speech(0.4, (300, 9000)[number % 2], channels=2, seed=number)
        soundfile.write(f"{key}.wav", samples, 16000)
        scp[key], labels[key], folds[key] = f"{key}.wav", ("calm", "loud")[number % 2], str(1 + number // 4)
    for name, table in (("wav.scp", scp), ("utt2label", labels), ("utt2fold", folds)):
        write_list(here / name, table)
    write_list(here / "utt2spk", {key: key.split("-")[0] for key in scp})
    call("import-resnet", "--licence", LICENCE, "--trained-on", DECLARED, "avg_model.pt", "model.pt")
    call("make-fbank", "--config", "model.fbank.conf", "scp:wav.scp", "ark,scp:feats.ark,feats.scp")
    return here


def test_conf_beside_the_model_gives_its_features(place, call):
    """make-fbank, embed-segments and the Python interface agree: first channel, mean subtracted, variance left."""
    settings = read_manifest("scp:feats.scp").settings
    assert settings == load_model(place / "model.pt").frontend
    assert settings["cmvn"] == "segment mean" and settings["fbank"]["window-type"] == "hamming"
    call("embed-segments", "model.pt", "scp:feats.scp", "ark,scp:x.ark,x.scp")
    model, feats = sertk.load_model("model.pt"), dict(read_table("scp:feats.scp"))
    for key, vector in read_table("scp:x.scp", kind="vector"):
        assert np.abs(feats[key].mean(axis=0)).max() < 0.01 and feats[key].std() > 0.1
        samples, rate = soundfile.read(f"{key}.wav", dtype="int16")
        of_samples = model.embedding(samples, rate)
        np.testing.assert_allclose(vector, of_samples, rtol=5e-3, atol=5e-3)  # archives have 16 bits a number
        np.testing.assert_array_equal(model.embedding(samples[:, 0], rate), of_samples)
        np.testing.assert_array_equal(model.extract.of_file(f"{key}.wav"), model.features(samples, rate))


def test_cmvn_segment_takes_the_mean_alone_too(place, call):
    raw = ("--config", "model.fbank.conf", "--cmvn", "false", "scp:wav.scp", "ark,scp:raw.ark,raw.scp")
    call("make-fbank", *raw)
    call("cmvn-segment", "--norm-vars", "false", "scp:raw.scp", "ark,scp:n.ark,n.scp")
    assert read_manifest("scp:n.scp").settings == read_manifest("scp:feats.scp").settings
    call("cmvn-segment", "scp:raw.scp", "ark,scp:n.ark,n.scp")
    result = call("embed-segments", "model.pt", "scp:n.scp", "ark:x.ark", code=1)
    assert (
        "cmvn=segment, but model.pt was trained on cmvn=segment mean (make-fbank --config model.fbank.conf)"
        in result.err
    )


def test_network_without_outputs_says_what_to_train(place, call):
    for words in (
        ("predict-emotion", "model.pt", "scp:feats.scp", "ark:-"),
        ("classify-audio", "model.pt", "spk0-0.wav"),
    ):
        assert (
            "model.pt: an imported network without outputs: train some with transfer-head" in call(*words, code=1).err
        )
    with pytest.raises(sertk.SertkError, match="without outputs"):
        sertk.load_model("model.pt").classify_file("spk0-0.wav")


def test_heads_on_an_imported_trunk(place, call):
    options = ("--draws", 2, "--chunk-frames", "20")
    call("embed-segments", *options, "model.pt", "scp:feats.scp", "ark,scp:draws.ark,draws.scp")
    heads = ("--epochs", 2, "model.pt", "scp:draws.scp", "utt2label", "utt2fold", "exp")
    call("transfer-head", *heads)
    model = load_model(place / "exp/1/final.pt")
    spec, trunk = model.network.spec, load_model(place / "model.pt").network
    assert (spec.deviation, spec.num_labels, spec.embedding_norm) == ("unbiased", 2, True)
    assert model.network.trunk.stem.weight.equal(trunk.trunk.stem.weight)
    call(
        "predict-emotion",
        "--utt2fold",
        "utt2fold",
        "--fold",
        1,
        "exp/1/final.pt",
        "scp:feats.scp",
        "ark,scp:s.ark,s.scp",
    )
    record = read_manifest("scp:s.scp").settings["trained_on"]
    [[_, row]] = imported([record, record])
    assert row.startswith("wespeaker: avg_model.pt, sha256 ") and LICENCE in row and DECLARED in row
    answer = json.loads(call("classify-audio", "--format", "jsonl", "exp/1/final.pt", "spk0-0.wav").text)
    scores = dict(read_table("scp:s.scp", kind="vector"))
    assert list(answer["probabilities"].values()) == pytest.approx(scores["spk0-0"].tolist(), abs=2e-3)


def test_fine_tuning_begins_from_an_imported_network(place, call):
    words = ("--init", "model.pt", "--epochs", 1, "--chunk-frames", "20", "--utt2fold", "utt2fold", "--fold", 1)
    call("train-resnet", *words, "scp:feats.scp", "utt2label", "tuned")
    model = load_model(place / "tuned/final.pt")
    assert model.card["trained_on"]["init"]["licence"] == LICENCE and model.network.spec.activation == "relu"
    assert model.frontend == load_model(place / "model.pt").frontend
    call("classify-audio", "tuned/final.pt", "spk0-0.wav")
    bins = ("--num-mel-bins", 40, "--channel", 0, "scp:wav.scp", "ark,scp:f.ark,f.scp")
    call("make-fbank", *bins)
    assert (
        "(make-fbank --config model.fbank.conf)"
        in call("train-resnet", *words, "scp:f.scp", "utt2label", "other", code=1).err
    )


def test_trials_of_training_speakers_are_refused(place, call):
    call("embed-segments", "model.pt", "scp:feats.scp", "ark,scp:x.ark,x.scp")
    keys = [line.split()[0] for line in (place / "wav.scp").read_text().splitlines()]
    spk = {key: key.split("-")[0] for key in keys}
    trials = [(a, b, "target" if spk[a] == spk[b] else "nontarget") for a in keys for b in keys if a < b]
    (place / "trials").write_text("".join(f"{a} {b} {kind}\n" for a, b, kind in trials))
    score = ("score-trials", "--utt2spk", "utt2spk", "trials")
    result = call(*score, "scp:x.scp")
    assert f"trained on '{DECLARED}', which lists no speakers (import-resnet --labels does)" in result.err
    assert "leaks unchecked" in result.text
    for names, code in ((SPEAKERS, 0), ([*SPEAKERS[:-1], "spk3"], 1)):
        (place / "spk2utt").write_text("".join(f"{name} {name}-1 {name}-2\n" for name in names))
        call("import-resnet", "--labels", "spk2utt", "avg_model.pt", "model.pt")
        call("embed-segments", "model.pt", "scp:feats.scp", "ark,scp:x.ark,x.scp")
        result = call(*score, "scp:x.scp", code=None)
        assert result.code == code
    assert "test speaker spk3 in its training" in result.err


def test_import_is_repeatable_and_says_what_is_missing(place, call):
    before = (place / "model.pt").read_bytes()
    words = ("--licence", LICENCE, "--trained-on", DECLARED)
    result = call("import-resnet", *words, "avg_model.pt", "model.pt")
    assert (place / "model.pt").read_bytes() == before
    assert "embedding of 6 numbers" in result.err and "no --labels" in result.err
    (place / "spk2utt").write_text("a a-1\nb b-1\na a-2\n")
    assert (
        "spk2utt:3: a comes twice" in call("import-resnet", "--labels", "spk2utt", "avg_model.pt", "n.pt", code=1).err
    )
    (place / "spk2utt").write_text("".join(f"s{n} x\n" for n in range(4)))  # three speeds of each
    call("import-resnet", "--labels", "spk2utt", "avg_model.pt", "n.pt")
    card = load_model(place / "n.pt").card["trained_on"]
    assert card["speakers"] == ["s0", "s1", "s2", "s3"] and card["declared"] == "12 classes" and card["licence"] is None


def test_config_yaml_goes_by_either_name(place, call):
    text = "model: ResNet34\nmodel_args:\n  feat_dim: 80\ndataset_args:\n  cmvn: false\n"
    (place / "config.yaml").write_text(text)
    for option in (("--config", "config.yaml"), ("--config=config.yaml",), ("--toolkit-config", "config.yaml")):
        call("import-resnet", *option, "avg_model.pt", "raw.pt")
        assert load_model(place / "raw.pt").frontend["cmvn"] == "none"
    (place / "own.conf").write_text("--licence=MIT\n")
    call("import-resnet", "--config", "own.conf", "--config", "config.yaml", "avg_model.pt", "raw.pt")
    assert load_model(place / "raw.pt").card["trained_on"]["licence"] == "MIT"
