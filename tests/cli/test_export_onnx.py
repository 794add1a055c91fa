"""export-onnx, and classify-audio with what it wrote."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from networks import trained
from support import ROOT

from sertk.frontend.options import FbankOptions
from sertk.models.modelfile import Model, save_model

FRONTEND = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "segment"}


def write_voice(path, seconds=1.0, rate=16000, seed=0):
    rng, count = np.random.default_rng(seed), int(seconds * rate)
    noise = rng.normal(size=count).cumsum() % 7 - 3.5
    soundfile.write(path, 0.05 * noise * (1.1 + np.sin(np.arange(count) / 900)), rate)


@pytest.fixture
def exported(here, call):
    save_model(here / "final.pt", Model(trained(), ["angry", "hap", "neu", "sad"], FRONTEND))
    call("export-onnx", "final.pt", "out.onnx")
    return here / "out.onnx"


def answers(call, model, *words, code=0):
    result = call("classify-audio", "--format", "jsonl", "--num-threads", 1, model, *words, code=code)
    records = {record["file"]: record for record in map(json.loads, result.text.splitlines())}
    return records, [line for line in result.err.splitlines() if "WARNING" in line]


def test_classify_audio_answers_as_with_the_model(exported, call):
    for number, (seconds, rate) in enumerate([(0.1, 16000), (1.0, 16000), (1.5, 44100), (0.6, 8000)]):
        write_voice(f"{number}.wav", seconds, rate, number)
    write_voice("short.wav", 0.02)
    soundfile.write("silent.wav", np.zeros(9000), 16000)
    files = ["0.wav", "short.wav", "1.wav", "2.wav", "silent.wav", "3.wav"]
    ours, said = answers(call, "final.pt", "--max-skip", 0.5, *files)
    theirs, also_said = answers(call, exported, "--max-skip", 0.5, *files)
    assert list(ours) == list(theirs) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert said == also_said and len(said) == 2
    for file, record in ours.items():
        assert theirs[file]["probabilities"] == pytest.approx(record["probabilities"], abs=1e-4)


def test_it_needs_no_torch(exported):
    """In a process in which importing torch or torchaudio fails; another rate is converted all the same."""
    write_voice("a.wav", 1.0, 44100)
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules["torch"] = sys.modules["torchaudio"] = sys.modules["onnx"] = None
from sertk.cli.classify_audio import main
main(["--format", "jsonl", "--verbose", "0", "--num-threads", "1", "out.onnx", "a.wav"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=exported.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    without = json.loads(done.stdout)["probabilities"]
    assert sum(without.values()) == pytest.approx(1, abs=1e-5)


def test_an_embedding_is_no_answer(exported, call):
    call("export-onnx", "--at", "embedding", "final.pt", "embedding.onnx")
    write_voice("a.wav")
    said = call("classify-audio", "embedding.onnx", "a.wav", code=1).err
    assert "embedding.onnx: gives embeddings" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("words", [("--device", "cuda"), ("--precision", "bf16")])
def test_it_is_computed_on_the_cpu_in_float32(exported, call, words):
    write_voice("a.wav")
    said = call("classify-audio", *words, "out.onnx", "a.wav", code=1).err
    assert "out.onnx: an ONNX file is computed on the CPU in float32" in said


def test_without_onnx_one_line_says_what_to_install(here, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "sertk.models.onnxexport", raising=False)
    assert "pip install onnx onnxruntime" in call("export-onnx", "final.pt", "out.onnx", code=1).err


def test_without_onnxruntime_one_line_says_what_to_install(exported, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    write_voice("a.wav")
    assert "pip install onnxruntime" in call("classify-audio", "out.onnx", "a.wav", code=1).err
