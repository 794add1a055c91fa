"""Heads that take what normalisation removes: from recordings to posteriors."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_manifest, read_table, table_writer
from sertk.models.modelfile import load_model

# Loud and soft noise: what normalisation removes is all that tells the labels apart.
GAIN = {"loud": 0.5, "soft": 0.02}
KEYS = sorted(f"spk{s}-{label}{n}" for s in range(3) for label in GAIN for n in range(4))
SPEAKER_NETWORK = (
    "--channels",
    2,
    "--blocks",
    "1,1,1,1",
    "--embedding-dim",
    8,
    "--chunk-frames",
    24,
    "--augment",
    "none",
)


@pytest.fixture
def lab(here, call):
    """Features, what normalisation removed of them, a speaker network, its draws and pooled vectors, lists."""
    Path("wav").mkdir()
    for seed, key in enumerate(KEYS):
        noise = np.random.default_rng(seed).normal(0, 0.2, 8000)
        soundfile.write(f"wav/{key}.wav", GAIN[key[5:9]] * noise.clip(-1, 1), 16000)
    write_list(here / "wav.scp", {key: f"wav/{key}.wav" for key in KEYS})
    write_list(here / "utt2spk", {key: key[:4] for key in KEYS})
    write_list(here / "utt2label", {key: key[5:9] for key in KEYS})
    write_list(here / "utt2fold", {key: str(1 + int(key[3])) for key in KEYS})
    call("make-fbank", "--num-mel-bins", 16, "scp:wav.scp", "ark,scp:raw.ark,raw.scp")
    call("cmvn-segment", "--stats", "ark,scp:stats.ark,stats.scp", "scp:raw.scp", "ark,scp:feats.ark,feats.scp")
    call("train-resnet", *SPEAKER_NETWORK, "--epochs", 1, "--num-threads", 1, "scp:feats.scp", "utt2spk", "speaker")
    draw = ("--draws", 6, "--chunk-frames", 24, "--augment", "none", "--num-threads", 1)
    call("embed-segments", *draw, "speaker/final.pt", "scp:feats.scp", "ark,scp:draws.ark,draws.scp")
    call("embed-segments", "--at", "pool", "speaker/final.pt", "scp:feats.scp", "ark,scp:pool.ark,pool.scp")
    return here


def transfer(call, *options, draws="draws", code=0):
    words = ("--epochs", 6, "--batch-size", 4, "--learning-rate", 0.1, "--num-threads", 1, *options, "speaker/final.pt")
    return call("transfer-head", *words, f"scp:{draws}.scp", "utt2label", "utt2fold", "exp", code=code)


def test_a_head_with_the_level_classifies_recordings(lab, call):
    """The level is known to the network on features that are not normalised, to recordings, and to the exported graph."""
    transfer(call, "--aux", "scp:stats.scp", "--folds", 3)
    trunk, model = load_model("speaker/final.pt"), load_model("exp/3/final.pt")
    assert model.network.spec.level_input and model.frontend == trunk.frontend | {"cmvn": "none"}
    stats = dict(read_table("scp:stats.scp", kind="vector"))
    train = np.stack([stats[key] for key in KEYS if key[3] != "2"]).astype(np.float64)
    np.testing.assert_allclose(model.network.head.mean, train.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.network.head.scale, 1 / train.std(axis=0), rtol=1e-4)
    call("predict-emotion", "exp/3/final.pt", "scp:raw.scp", "ark:p.ark")
    found = dict(read_table("ark:p.ark", kind="vector"))
    assert all(model.labels[found[key].argmax()] == key[5:9] for key in KEYS if key[3] == "2")
    # As by hand: the trunk's pooled vectors beside what normalisation removed.
    pooled = dict(read_table("scp:pool.scp", kind="vector"))
    rows = torch.from_numpy(np.stack([np.concatenate([pooled[key], stats[key]]) for key in KEYS]))
    with torch.no_grad():
        expected = model.network.head(rows).softmax(dim=1).numpy()
    np.testing.assert_allclose(np.stack([found[key] for key in KEYS]), expected, atol=1e-3)
    wav = f"wav/{KEYS[0]}.wav"
    call("export-onnx", "exp/3/final.pt", "out.onnx")
    for path in ("exp/3/final.pt", "out.onnx"):
        line = call("classify-audio", "--format", "csv", path, wav).text.splitlines()[1]
        assert f"{found[KEYS[0]].max():.3f}"[:5] in line, (path, line)
    err = call("predict-emotion", "exp/3/final.pt", "scp:feats.scp", "ark:no.ark", code=1).err
    assert "features with cmvn=segment, but exp/3/final.pt was trained on cmvn=none" in err


def test_inner_folds_have_the_level_too(lab, call):
    transfer(call, "--aux", "scp:stats.scp", "--folds", 3, "--inner-scores", "true", "--eval-vectors", "scp:pool.scp")
    inner = dict(read_table("ark:exp/3/inner.ark", kind="vector"))
    assert len(inner) == 16 and all(("loud", "soft")[row.argmax()] == key[5:9] for key, row in inner.items())


def test_tables_that_do_not_belong_to_the_model_are_refused(lab, call):
    settings = read_manifest("scp:stats.scp").settings
    write("other", settings | {"fbank": {**settings["fbank"], "low-freq": 100.0}})
    assert "low-freq=100" in transfer(call, "--aux", "scp:other.scp", code=1).err
    write("short", {"statistics": "mean, deviation"}, dim=8)
    assert (
        "8 numbers, mean and deviation of speaker/final.pt's bins are 32"
        in transfer(call, "--aux", "scp:short.scp", code=1).err
    )
    assert "not vectors of cmvn-segment --stats" in transfer(call, "--aux", "scp:pool.scp", code=1).err
    write("few", settings, keys=KEYS[:12])
    assert "scp:few.scp: 12 of 24 labelled segments are not in it" in transfer(call, "--aux", "scp:few.scp", code=1).err
    (lab / "half.scp").write_text("".join((lab / "draws.scp").read_text().splitlines(keepends=True)[:12]))
    err = transfer(call, "--aux", "scp:stats.scp", draws="half", code=1).err
    assert "scp:half.scp: 12 of 24 labelled segments are not in it" in err and "stats.scp" not in err
    words = ("--aux", "scp:stats.scp", "none", "scp:pool.scp", "utt2label", "utt2fold", "exp")
    assert "--aux is for a MODEL's draws" in call("transfer-head", *words, code=2).err
    transfer(call, "--aux", "scp:stats.scp", "--folds", 3)
    draw = ("--draws", 2, "--chunk-frames", 24, "exp/3/final.pt", "scp:raw.scp", "ark:d.ark")
    assert "draw from the model it was made of" in call("embed-segments", *draw, code=1).err
    words = ("--init", "exp/3/final.pt", "--chunk-frames", 24, "scp:raw.scp", "utt2label", "tuned")
    assert "start from the model it was made of" in call("train-resnet", *words, code=1).err


def write(name, settings, keys=KEYS, dim=32):
    with table_writer(f"ark,scp:{name}.ark,{name}.scp", kind="vector", settings=settings) as write:
        for key in keys:
            write(key, np.ones(dim, np.float32))
