"""Every binary that has --device, on the device; what it computes there against what the CPU does."""

import importlib
import json

import numpy as np
import pytest
import soundfile
from encoders import write_encoder
from support import ROOT

from sertk.datadir.lists import write_list
from sertk.kaldi.tables import read_table

LABELS = ["ang", "hap", "neu", "sad"]
KEYS = [f"spk{number % 3}-utt{number:02}" for number in range(12)]
BINARIES = ["classify-audio", "embed-segments", "embed-ssl", "predict-emotion", "train-resnet", "transfer-head"]


@pytest.fixture
def words(here):
    """The words of the call of each binary, in the order in which one needs the other's result; and the recordings."""
    rng = np.random.default_rng(0)
    (here / "wav").mkdir()
    for number, key in enumerate(KEYS):
        sound = rng.normal(size=8000 + 700 * number) * np.linspace(0.02, 0.2, 8000 + 700 * number)
        soundfile.write(here / f"wav/{key}.wav", sound, 16000)
    write_encoder(here / "hubert-tiny", "hubert")
    write_list(here / "wav.scp", {key: f"wav/{key}.wav" for key in KEYS})
    write_list(here / "utt2label", {key: LABELS[number % 4] for number, key in enumerate(KEYS)})
    write_list(here / "utt2fold", {key: str(1 + number // 6) for number, key in enumerate(KEYS)})
    draws = ("--draws", 2, "--chunk-frames", "24,32")
    return {
        "train-resnet": ("scp:feats.scp", "utt2label", "exp"),
        "embed-segments": (*draws, "exp/final.pt", "scp:feats.scp", "ark,scp:draws.ark,draws.scp"),
        "transfer-head": ("--epochs", 2, "exp/final.pt", "scp:draws.scp", "utt2label", "utt2fold", "heads"),
        "predict-emotion": ("heads/1/final.pt", "scp:feats.scp", "ark,scp:scores.ark,scores.scp"),
        "embed-ssl": ("--licence", "MIT", "hubert-tiny", "scp:wav.scp", "ark:layers.ark"),
        "classify-audio": ("--format", "jsonl", "heads/1/final.pt", "wav"),
    }


def test_all_binaries_with_a_device_are_tried_here():
    names = [path.stem for path in (ROOT / "sertk" / "cli").glob("*.py")]
    mains = {name: getattr(importlib.import_module(f"sertk.cli.{name}"), "main", None) for name in names}
    with_device = [name.replace("_", "-") for name, main in mains.items()
                   if any(param.name == "device" for param in getattr(main, "params", ()))]  # fmt: skip
    assert sorted(with_device) == BINARIES


def test_every_binary_computes_on_the_device(words, call, device, network, blocks_taken):
    assert sorted(words) == BINARIES
    call("make-fbank", "--num-mel-bins", 16, "--cmvn", "true", "scp:wav.scp", "ark,scp:feats.ark,feats.scp")
    results = {}
    for binary, rest in words.items():
        options = (*network, "--epochs", 1) if binary == "train-resnet" else ("--device", device, "--num-threads", 1)
        before = blocks_taken()
        results[binary] = call(binary, *options, *rest)
        assert blocks_taken() > before, binary
    assert f"on {device}, 1 threads" in results["train-resnet"].err
    channels = network[1]
    shapes = {key: matrix.shape for key, matrix in read_table("scp:draws.scp")}
    assert shapes == dict.fromkeys(
        KEYS, (2 * 3, 2 * 8 * channels * 2)
    )  # mean and deviation of 8 × channels maps, 2 bins
    posteriors = dict(read_table("scp:scores.scp", kind="vector"))
    assert sorted(posteriors) == sorted(KEYS)
    assert all(vector.sum() == pytest.approx(1, abs=1e-5) and len(vector) == 4 for vector in posteriors.values())
    heard = [json.loads(line) for line in results["classify-audio"].text.splitlines()]
    assert {record["file"] for record in heard} == {f"wav/{key}.wav" for key in KEYS}
    for record in heard:  # from the samples what there is from the features
        key = record["file"].removeprefix("wav/").removesuffix(".wav")
        assert list(record["probabilities"].values()) == pytest.approx(posteriors[key].tolist(), abs=0.02)


@pytest.mark.parametrize(
    ("device", "precision", "most"),
    [
        ("cpu", "bf16", 0.05),
        pytest.param("cuda", "float32", 1e-4, marks=pytest.mark.gpu),
        pytest.param("cuda", "bf16", 0.05, marks=pytest.mark.gpu),
    ],
    indirect=["device"],
)
def test_the_cpu_and_the_device_agree(toy, train, call, device, network, precision, most):
    """Posteriors, pooled statistics and draws, on segments of different lengths: on a GPU padded batches."""
    train("exp", "--epochs", 2, network=network)
    tables = {}
    for where, how in (("cpu", "float32"), (device, precision)):
        options = ("--device", where, "--precision", how, "--num-threads", 1)
        source, path = (toy / "exp/final.pt", f"scp:{toy}/feats.scp"), toy / f"{where}.{how}"
        call("predict-emotion", *options, *source, f"ark:{path}.posteriors")
        call("embed-segments", *options, "--at", "pool", *source, f"ark:{path}.pool")
        chunks = ("--draws", 2, "--chunk-frames", "24,32", "--compress", "none")
        call("embed-segments", *options, *chunks, *source, f"ark:{path}.draws")
        for name, kind in (("posteriors", "vector"), ("pool", "vector"), ("draws", "matrix")):
            tables.setdefault(name, []).append(dict(read_table(f"ark:{path}.{name}", kind=kind)))
    for name, (exact, other) in tables.items():
        assert exact.keys() == other.keys()
        scale = 1 if name == "posteriors" else max(np.abs(table).max() for table in exact.values())
        worst = max(np.abs(exact[key] - other[key]).max() for key in exact)
        assert worst <= most * scale, name
