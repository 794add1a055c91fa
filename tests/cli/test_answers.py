"""The formats of classify-audio, and emotions along time."""

import csv
import io
import json
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from networks import trained

from sertk.cli.answers import Answer, intervals, printer
from sertk.frontend.options import FbankOptions
from sertk.models.modelfile import Model, save_model

LABELS = ["angry", "hap", "neu", "sad"]
FRONTEND = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "segment"}


@pytest.fixture
def talk(here):
    """Two seconds of noise, two of silence, one of noise; and a model."""
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.normal(size=5 * 16000) * (1 + np.sin(np.arange(5 * 16000) / 700))
    samples[2 * 16000 : 4 * 16000] *= 1e-4
    soundfile.write("talk.wav", samples, 16000, subtype="PCM_16")
    save_model(here / "final.pt", Model(trained(), LABELS, FRONTEND))
    return here


@pytest.fixture
def along(talk, call):
    def run(*words, code=0, audio="talk.wav", form="jsonl"):
        return call("classify-audio", "--num-threads", 1, "--format", form, *words, "final.pt", audio, code=code)

    return run


def records(result):
    return [json.loads(line) for line in result.text.splitlines()]


def test_windows_have_the_answers_of_recordings_of_their_own(along, call):
    found = records(along("--window", 1, "--hop", 0.5))
    assert [(r["start"], r["end"]) for r in found] == [(k / 2, k / 2 + 1) for k in range(9)]
    assert [r["emotion"] == "no speech" for r in found] == [False] * 4 + [True] * 3 + [False] * 2
    assert found[4]["probabilities"] is None
    samples, _ = soundfile.read("talk.wav", dtype="int16")
    soundfile.write("part.wav", samples[8000:24000], 16000)
    [alone] = records(along(audio="part.wav"))
    assert alone["probabilities"] == pytest.approx(found[1]["probabilities"], abs=2e-6)


def test_a_quiet_recording_is_no_speech_too(along):
    soundfile.write("quiet.wav", np.random.default_rng(0).normal(0, 1e-4, 16000), 16000)
    assert records(along(audio="quiet.wav"))[0]["emotion"] == "no speech"
    assert records(along("--silence", -90, audio="quiet.wav"))[0]["emotion"] in LABELS


def test_a_stream_has_the_answers_of_the_file(along, monkeypatch):
    samples, _ = soundfile.read("talk.wav", dtype="int16")
    words = ("--window", 1, "--hop", 0.7)
    of_file = records(along(*words))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(samples.tobytes()))))
    of_stream = records(along("--rate", 16000, *words, audio="-"))
    assert [r | {"file": "talk.wav"} for r in of_stream] == of_file
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(open("talk.wav", "rb"))))  # noqa: SIM115
    assert [r | {"file": "talk.wav"} for r in records(along(*words, audio="-"))] == of_file


def test_unsure_and_temperature(along, talk):
    [plain] = records(along())
    most = max(plain["probabilities"].values())
    unsure = along("--min-confidence", most + 0.001)
    assert records(unsure)[0] == plain | {"emotion": "unsure"} and "not calibrated" in unsure.err
    assert records(along("--min-confidence", most - 0.001))[0]["emotion"] == plain["emotion"]
    [flat] = records(along("--temperature", 1000))
    assert flat["probabilities"] == pytest.approx(dict.fromkeys(LABELS, 0.25), abs=0.01)
    (talk / "results.json").write_text(json.dumps({"calibration": {"temperatures": {"1": 1.0, "2": 4.0}}}))
    fitted = along("--temperature", "results.json", "--min-confidence", 0.1)
    assert records(fitted) == records(along("--temperature", 2)) and "calibrated" not in fitted.err


def test_csv_and_table_along_time(along):
    words = ("--window", 1)
    found = records(along(*words))
    rows = list(csv.DictReader(io.StringIO(along(*words, form="csv").text)))
    assert [row["emotion"] for row in rows] == [r["emotion"] for r in found]
    assert float(rows[0]["angry"]) == pytest.approx(found[0]["probabilities"]["angry"], abs=1e-6)
    assert rows[2]["angry"] == "" and (rows[2]["start"], rows[2]["end"]) == ("2.000", "3.000")
    head, *lines = along(*words, form="table").text.splitlines()
    assert head.split() == ["file", "start", "end", "emotion", *LABELS] and len({len(x) for x in [head, *lines]}) == 1
    assert "no speech" in lines[2] and re.search(r" 2\.00 +3\.00 ", lines[2])


def test_labels_for_audacity_and_praat_have_no_gaps(along):
    tracks = [line.split("\t") for line in along("--window", 1, "--hop", 0.5, form="audacity").text.splitlines()]
    assert float(tracks[0][0]) == 0 and float(tracks[-1][1]) == 5
    assert all(a[1] == b[0] and a[2] != b[2] for a, b in pairwise(tracks))
    grid = along("--window", 1, "--hop", 0.5, form="textgrid").text
    assert re.findall(r'text = "(.*)"', grid) == [track[2] for track in tracks]
    assert f"intervals: size = {len(tracks)}" in grid and grid.startswith('File type = "ooTextFile"\n')
    assert re.findall(r"^ {12}xmin = (.*)$", grid, re.M) == [track[0] for track in tracks]


def test_intervals_meet_between_the_middles():
    answers = [Answer("a", k, k + 3, emotion, {}) for k, emotion in enumerate(["x", "x", "y"])]
    assert intervals(answers) == [(0, 3.0, "x"), (3.0, 5, "y")]
    assert intervals(answers[:1]) == [(0, 3, "x")]


def test_quotes_in_labels_are_escaped_in_a_textgrid(capsys):
    show = printer("textgrid", ['a"b'], ["a"], False)
    show(Answer("a", 0, 1, 'a"b', {'a"b': 1.0}))
    show.end()
    assert 'text = "a""b"' in capsys.readouterr().out


@pytest.mark.parametrize("form", ["png", "svg", "html"])
def test_the_plot_is_a_picture_with_its_labels(along, talk, form):
    along("--window", 1, "--plot", f"out.{form}")
    content = (talk / f"out.{form}").read_bytes()
    if form == "png":
        assert content.startswith(b"\x89PNG") and len(content) > 20000
    else:
        text = content.decode()
        assert all(f">{label}<" in text for label in LABELS) and "talk.wav" in text and "probability [%]" in text
        assert "no speech" in text
        assert "currentColor" in text and ("--line:" in text)
