"""calibrate-model: the same decisions, calibrated probabilities everywhere."""

import json
import math

import numpy as np
import pytest
import soundfile
from networks import trained
from references import signal

from sertk.frontend.options import FbankOptions
from sertk.models.modelfile import Model, load_model, save_model

FRONTEND = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "segment"}
LABELS = ["ang", "hap", "neu", "sad"]


@pytest.fixture
def fields():
    """Of the network."""
    return {}


@pytest.fixture
def here(tmp_path, monkeypatch, fields):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "final.pt", Model(trained(**fields), LABELS, FRONTEND, {"trained_on": {"fold": "2"}}))
    (tmp_path / "results.json").write_text(json.dumps({"calibration": {"temperatures": {"1": 8, "2": 3, "3": 8}}}))
    soundfile.write("a.wav", signal(1.0).astype(np.int16), 16000)
    return tmp_path


def probabilities(call, model, *words):
    result = call("classify-audio", "--format", "jsonl", "--precision", "float32", *words, model, "a.wav")
    assert "not calibrated" not in result.err
    return np.array(list(json.loads(result.text)["probabilities"].values()))


@pytest.mark.parametrize("fields", [{}, {"output": "cosine", "scale": 4.0, "subcentres": 2}], ids=str)
def test_every_way_to_classify_gives_calibrated_probabilities(here, call):
    assert "temperature 3.000" in call("calibrate-model", "final.pt", "results.json", "out.pt").err
    plain = probabilities(call, "final.pt")
    expected = plain ** (1 / 3) / (plain ** (1 / 3)).sum()
    call("export-onnx", "out.pt", "out.onnx")
    for model in ("out.pt", "out.onnx"):
        found = probabilities(call, model, "--min-confidence", 0.1)
        np.testing.assert_allclose(found, expected, atol=2e-5)
        np.testing.assert_allclose(probabilities(call, model, "--temperature", 1), plain, atol=2e-5)
        given = plain ** (1 / 6) / (plain ** (1 / 6)).sum()
        np.testing.assert_allclose(probabilities(call, model, "--temperature", 6), given, atol=2e-5)
    call("calibrate-model", "final.pt", "results.json", "out.pt")  # its own output may be overwritten


def test_a_model_of_no_fold_has_the_geometric_mean(here, call):
    save_model(here / "all.pt", Model(trained(), LABELS, FRONTEND))
    call("calibrate-model", "all.pt", "results.json", "out.pt")
    assert load_model(here / "out.pt").card["temperature"]["value"] == pytest.approx(math.cbrt(8 * 3 * 8))


def test_wrong_calls_are_one_line(here, call):
    assert (
        "final.pt: exists and is not a calibrated model"
        in call("calibrate-model", "final.pt", "results.json", "final.pt", code=1).err
    )
    call("calibrate-model", "final.pt", "results.json", "out.pt")
    save_model(here / "plain.pt", Model(trained(), LABELS, FRONTEND, {"trained_on": "by hand"}))
    call("calibrate-model", "plain.pt", "results.json", "out.pt")
    (here / "other.json").write_text(json.dumps({"labels": ["a", "b"], "calibration": {"temperatures": {"1": 8}}}))
    result = call("calibrate-model", "final.pt", "other.json", "new.pt", code=1)
    assert "other.json: the scores of a b; the model has ang hap neu sad" in result.err
    assert "out.pt: is calibrated already" in call("calibrate-model", "out.pt", "results.json", "new.pt", code=1).err
    assert (
        "a.wav: not UTF-8 (byte 24); expected a results.json"
        in call("calibrate-model", "final.pt", "a.wav", "new.pt", code=1).err
    )
    assert not (here / "new.pt").exists()
