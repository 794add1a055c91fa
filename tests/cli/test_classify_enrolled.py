"""classify-audio --enrol: a network on features normalised by speaker, on recordings of a speaker who is not in a table."""

import io
import json
import sys

import numpy as np
import pytest
import soundfile
from networks import trained

from sertk.frontend.options import FbankOptions
from sertk.kaldi.tables import read_table
from sertk.models.modelfile import Model, save_model

LABELS = ["angry", "hap", "neu", "sad"]
BY_SPEAKER = {
    "fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "group", "group": "utt2spk", "transductive": True,
}  # fmt: skip
OWN = ["own/0.wav", "own/1.wav", "own/2.wav"]


@pytest.fixture
def speaker(here):
    """own/: recordings of a speaker, talk.wav: what is classified, loud and then soft."""
    (here / "own").mkdir()
    rng = np.random.default_rng(0)
    for number, file in enumerate(OWN):
        soundfile.write(file, rng.normal(0, 0.01 * 3**number, 6000), 16000)
    soundfile.write("talk.wav", np.concatenate([rng.normal(0, level, 16000) for level in (0.1, 0.01)]), 16000)
    save_model(here / "final.pt", Model(trained(), LABELS, BY_SPEAKER))
    return here


@pytest.fixture
def heard(speaker, call):
    def run(*words, audio=("talk.wav",), code=0):
        options = ("--num-threads", 1, "--precision", "float32", "--format", "jsonl")
        result = call("classify-audio", *options, *words, "final.pt", *audio, code=code)
        return [json.loads(line) for line in result.text.splitlines()], result.err

    return run


def test_it_agrees_with_tables_of_the_same_enrolment(speaker, heard, call):
    """Statistics of two recordings, in the order of the table; the third has no part in them."""
    (speaker / "wav.scp").write_text("".join(f"{file} {file}\n" for file in (*OWN, "talk.wav")))
    (speaker / "utt2spk").write_text("".join(f"{file} s\n" for file in (*OWN, "talk.wav")))
    (speaker / "two").write_text(f"{OWN[0]}\n{OWN[1]}\n")
    exact = ("--compress=none", "--verbose=0")
    call("make-fbank", *exact, "--num-mel-bins=16", "scp:wav.scp", "ark,scp:f.ark,f.scp")
    call("cmvn-segment", *exact, "--utt2group=utt2spk", "--enrol=two", "scp:f.scp", "ark,scp:n.ark,n.scp")
    call("predict-emotion", "--num-threads=1", "--precision=float32", "final.pt", "scp:n.scp", "ark:posteriors.ark")
    expected = dict(read_table("ark:posteriors.ark", kind="vector"))
    for enrol in (OWN[:2], [OWN[0], OWN[1], OWN[0]]):  # a file that is named twice counts once
        found, err = heard(*(f"--enrol={file}" for file in enrol), audio=("talk.wav", OWN[2]))
        assert "enrolment: 2 recordings, 0.8 s, skipped 0" in err
        for record in found:
            assert list(record["probabilities"].values()) == pytest.approx(expected[record["file"]], abs=2e-6)
    [others], _ = heard("--enrol", OWN[2])
    assert abs(others["probabilities"]["sad"] - expected["talk.wav"][3]) > 1e-3


def test_windows_and_streams_are_normalised_by_the_enrolment(heard, monkeypatch):
    """A window is what it would be as a recording, not normalised by the talk around it."""
    along, _ = heard("--enrol", "own", "--window", 1)
    samples, _ = soundfile.read("talk.wav", dtype="int16")
    for number, record in enumerate(along):
        soundfile.write("part.wav", samples[16000 * number :][:16000], 16000)
        [[alone], _] = heard("--enrol", "own", audio=("part.wav",))
        assert record["probabilities"] == pytest.approx(alone["probabilities"], abs=2e-6)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(samples.tobytes()))))
    live, _ = heard("--enrol", "own", "--window", 1, "--rate", 16000, audio=("-",))
    assert [record | {"file": "talk.wav"} for record in live] == along and len(along) == 2


def test_unfit_enrolment_recordings_are_skipped_and_counted(speaker, heard):
    (speaker / "own/torn.wav").write_bytes(b"RIFF")
    found, err = heard("--enrol", "own")
    assert "WARNING: skipped own/torn.wav: " in err and "enrolment: 3 recordings, 1.1 s, skipped 1\n" in err
    assert "WARNING: 1.1 s of the speaker, under 25: on CREMA-D" in err and len(found) == 1


def test_an_onnx_file_takes_no_enrolment(speaker, call):
    pytest.importorskip("onnxruntime")
    save_model(speaker / "alone.pt", Model(trained(), LABELS, BY_SPEAKER | {"cmvn": "segment"}))
    call("export-onnx", "alone.pt", "alone.onnx")
    err = call("classify-audio", "--enrol=own", "alone.onnx", "talk.wav", code=1).err
    assert (
        err
        == "classify-audio: ERROR: alone.onnx: an ONNX file has its normalisation in the graph and takes no --enrol\n"
    )
    err = call("export-onnx", "final.pt", "final.onnx", code=1).err
    assert "over groups of segments (utt2spk)" in err and not (speaker / "final.onnx").exists()
