"""classify-audio as a person calls it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sertk.datadir.lists import write_list
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.options import FbankOptions
from sertk.kaldi.tables import read_table
from sertk.models.inference import on_segments
from sertk.models.modelfile import Model, save_model
from sertk.models.resnet import NetworkSpec, ResNet

LABELS = ["angry", "hap", "neu", "sad"]
FRONTEND = {"fbank": FbankOptions(num_mel_bins=16).settings(), "cmvn": "segment"}
SPEC = NetworkSpec(len(LABELS), bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)


def write_model(path, frontend=FRONTEND):
    """An untrained network, with its output layer shifted and scaled so that it tells 0.wav from 1.wav."""
    torch.manual_seed(1)
    network, extract = ResNet(SPEC), FeatureExtractor.of_model(FRONTEND, path)
    both = [(name, extract.of_file(Path(name))) for name in ("0.wav", "1.wav")]
    first, second = (torch.from_numpy(logits) for _, logits in on_segments(network, both, "logit", torch.device("cpu")))
    scale = 6 / (first - second).abs().max()
    with torch.no_grad():
        network.head.output.weight.mul_(scale)
        network.head.output.bias.mul_(scale).sub_(scale * (first + second) / 2)
    save_model(path, Model(network, LABELS, frontend))


def voice(rate=16000, seed=0, seconds=1.0):
    """The same sound at any rate of 16000 or more: sines of all frequencies that swell and fade together, the faster
    the higher the seed."""
    rng, time = np.random.default_rng(seed), np.arange(int(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * (f * time + rng.uniform())) for f in rng.uniform(50, 7600, 200))
    return 0.5 * sound / np.abs(sound).max() * (0.05 + np.sin(np.pi * (1 + 3 * seed) * time) ** 2)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        soundfile.write(f"{number}.wav", voice(seed=number), 16000)
    write_model(tmp_path / "final.pt")
    return tmp_path


@pytest.fixture
def heard(call):
    """heard("a.wav", …) -> {file: probabilities (labels,)}, checked to be what JSON Lines promise."""

    def run(*words, code=0):
        found = {}
        for line in call(
            "classify-audio", "--format", "jsonl", "--num-threads", 1, "final.pt", *words, code=code
        ).text.splitlines():
            record = json.loads(line)
            assert list(record) == ["file", "emotion", "probabilities"] and list(record["probabilities"]) == LABELS
            values = np.array(list(record["probabilities"].values()))
            assert values.sum() == pytest.approx(1, abs=4e-6) and values.min() >= 0
            assert record["emotion"] == LABELS[values.argmax()]
            found[record["file"]] = values
        return found

    return run


def test_precision_changes_figures_little_and_no_emotion(here, heard):
    exact, rough = heard("0.wav", "1.wav"), heard("--precision", "bf16", "0.wav", "1.wav")
    for file, values in rough.items():
        assert 0 < abs(values - exact[file]).max() < 0.1 and values.argmax() == exact[file].argmax()


def test_the_table_is_aligned_and_in_per_cent(here, call, heard):
    result = call("classify-audio", "--num-threads", 1, "final.pt", "0.wav", "1.wav")
    head, *rows = result.text.splitlines()
    assert head.split() == ["file", "emotion", *LABELS] and len({len(line) for line in [head, *rows]}) == 1
    assert result.err == "classify-audio: Done 2, skipped 0\n"
    for row, (file, values) in zip(rows, heard("0.wav", "1.wav").items(), strict=True):
        name, emotion, *shown = re.sub(r"\s+%", "%", row).split()
        assert (name, emotion) == (file, LABELS[values.argmax()])
        assert [float(number[:-1]) for number in shown] == pytest.approx(list(100 * values), abs=0.051)


def test_it_agrees_with_make_fbank_and_predict_emotion(here, call, heard):
    write_list("wav.scp", {"0": "0.wav", "1": "1.wav"})
    call("make-fbank", "--num-mel-bins", 16, "--cmvn", "true", "--compress", "none", "scp:wav.scp", "ark:feats.ark")
    call("predict-emotion", "--num-threads", 1, "final.pt", "ark:feats.ark", "ark:posteriors.ark")
    found = heard("0.wav", "1.wav")
    for key, posteriors in read_table("ark:posteriors.ark", kind="vector"):
        assert found[f"{key}.wav"] == pytest.approx(posteriors, abs=1e-4)
    assert np.abs(found["0.wav"] - found["1.wav"]).max() > 0.5  # so that agreement says something


def test_a_folder_stands_for_the_recordings_below_it_in_order(here, heard):
    (here / "in/deep").mkdir(parents=True)
    (here / "in/not.wav").mkdir()
    for name in ("in/b.WAV", "in/a.wav", "in/deep/c.flac", "in/.hidden.wav"):
        soundfile.write(name, voice(), 16000, format="FLAC" if name.endswith("flac") else "WAV")
    (here / "in/notes.txt").write_text("not a recording")
    assert list(heard("1.wav", "in", "0.wav")) == ["1.wav", "in/a.wav", "in/b.WAV", "in/deep/c.flac", "0.wav"]


def test_containers_of_the_same_samples_have_the_same_answer(here, heard):
    samples, rate = soundfile.read("0.wav", dtype="int16")
    for name, subtype in {"a.flac": "PCM_16", "a.aiff": "PCM_16", "a.au": "PCM_16", "24.wav": "PCM_24"}.items():
        soundfile.write(name, samples, rate, subtype=subtype)
    soundfile.write("float.wav", samples / np.float32(32768), rate, subtype="FLOAT")
    first, *others = heard("0.wav", "a.flac", "a.aiff", "a.au", "24.wav", "float.wav").values()
    for other in others:
        assert other == pytest.approx(first, abs=2e-6)


def test_what_loses_a_little_has_nearly_the_same_answer(here, heard):
    for name, form in {"a.ogg": "OGG", "a.mp3": "MP3"}.items():
        soundfile.write(name, voice(), 16000, format=form)
    first, *others = heard("0.wav", "a.ogg", "a.mp3").values()
    for other in others:
        assert other == pytest.approx(first, abs=0.05)


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_other_rates_are_converted(here, heard, rate):
    soundfile.write("other.wav", voice(rate), rate)
    first, other = heard("0.wav", "other.wav").values()
    assert other == pytest.approx(first, abs=0.002)


def test_a_telephone_recording_has_an_answer_too(here, heard):
    soundfile.write("phone.wav", voice()[::2], 8000, subtype="ULAW")
    assert len(heard("phone.wav")) == 1


def test_channels_are_averaged(here, heard):
    left, right = voice(), voice(seed=1)
    soundfile.write("mean.wav", (left + right) / 2, 16000, subtype="FLOAT")
    soundfile.write("stereo.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    samples, rate = soundfile.read("0.wav", dtype="int16")
    soundfile.write("six.flac", np.stack([samples] * 6, 1), rate)
    found = heard("mean.wav", "stereo.wav", "0.wav", "six.flac")
    assert found["stereo.wav"] == pytest.approx(found["mean.wav"], abs=1e-4)
    assert found["six.flac"] == pytest.approx(found["0.wav"], abs=1e-4)


def test_m4a_comes_through_ffmpeg_or_one_line_says_to_install_it(here, heard, call, monkeypatch):
    if shutil.which("ffmpeg"):
        subprocess.run(["ffmpeg", "-v", "error", "-i", "0.wav", "-ac", "2", "-ar", "44100", "a.m4a"], check=True)
        (here / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(here / "tmp"))
        found = heard("0.wav", "a.m4a")
        assert list((here / "tmp").iterdir()) == []
        assert found["a.m4a"] == pytest.approx(found["0.wav"], abs=0.05)
    else:
        (here / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
        said = call("classify-audio", "final.pt", "0.wav", "a.m4a", code=1).err
        assert "classify-audio: ERROR: a.m4a: m4a needs ffmpeg" in said


def test_without_ffmpeg_an_m4a_is_one_clear_line(here, call, monkeypatch):
    monkeypatch.setenv("PATH", str(here))
    (here / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    said = call("classify-audio", "--num-threads", 1, "final.pt", "a.m4a", code=1).err
    assert said.startswith("classify-audio: ERROR: a.m4a: m4a needs ffmpeg") and len(said.splitlines()) == 1


@pytest.fixture
def damaged(here):
    """Files that are no recordings, or not whole."""
    whole = (here / "0.wav").read_bytes()
    soundfile.write("whole.flac", voice(), 16000)
    contents = {"cut.wav": whole[: len(whole) // 2], "cut.flac": (here / "whole.flac").read_bytes()[:2000],
                "noise.mp3": bytes(range(256)) * 4, "empty.ogg": b""}  # fmt: skip
    for name, content in contents.items():
        (here / name).write_bytes(content)
    soundfile.write("short.wav", np.zeros(100), 16000)
    soundfile.write("nan.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    return [*contents, "short.wav", "nan.wav"]


def test_what_is_damaged_is_skipped_said_and_counted(here, heard, call, damaged):
    words = ("--max-skip", 0.9, "0.wav", *damaged, "1.wav")
    assert list(heard(*words)) == ["0.wav", "1.wav"]
    lines = call("classify-audio", "--num-threads", 1, "final.pt", *words).err.splitlines()
    assert [line.split(": ")[1:3] for line in lines[:-1]] == [["WARNING", f"skipped {name}"] for name in damaged]
    assert lines[-1] == f"classify-audio: Done 2, skipped {len(damaged)}"


def test_too_much_damage_is_exit_1_after_the_good_files(here, heard, call, damaged):
    assert list(heard("0.wav", "cut.wav", "1.wav", code=1)) == ["0.wav", "1.wav"]
    said = call("classify-audio", "--num-threads", 1, "final.pt", "0.wav", "cut.wav", code=1).err
    assert said.splitlines()[-1] == "classify-audio: ERROR: AUDIO: 1 of 2 skipped, more than --max-skip=0.05 allows"


def test_silence_has_no_emotion(here, call):
    soundfile.write("silence.wav", np.zeros(16000), 16000)
    said = call("classify-audio", "--num-threads", 1, "--max-skip", 0.5, "final.pt", "0.wav", "silence.wav")
    assert "WARNING: skipped silence.wav: has no sound: all of its 16000 samples are 0" in said.err
    assert len(said.text.splitlines()) == 2


def test_names_may_be_anything(here, heard, call):
    names = ["mit Lücke.wav", "-dash.wav", b"\xff\xfe.wav".decode(errors="surrogateescape")]
    for name in names:
        shutil.copy("0.wav", name)
    assert list(heard("--", *names)) == names
    assert "mit Lücke.wav" in call("classify-audio", "--num-threads", 1, "final.pt", "--", *names).text


@pytest.mark.parametrize(
    ("frontend", "said"),
    [
        ({}, "holds no front-end settings"),
        ({"cmvn": "segment"}, "holds no front-end settings"),
        (FRONTEND | {"cmvn": "utt2dialog"}, "normalised over groups of segments"),
        (FRONTEND | {"fbank": {"num-mel-bands": 16}}, "unknown front-end setting: num-mel-bands"),
    ],
)
def test_a_model_that_cannot_tell_its_front_end_is_refused(here, call, frontend, said):
    write_model(here / "other.pt", frontend)
    refused = call("classify-audio", "other.pt", "0.wav", code=1)
    assert said in refused.err and "other.pt: " in refused.err and len(refused.err.splitlines()) == 1
    assert refused.text == ""


def test_a_model_of_another_rate_hears_at_that_rate(here, heard, call):
    narrow = FbankOptions(sample_frequency=8000.0, high_freq=0.0, num_mel_bins=16)
    write_model(here / "final.pt", {"fbank": narrow.settings(), "cmvn": "none"})
    soundfile.write("8.wav", voice(8000), 8000)
    assert list(heard("8.wav", "0.wav")) == ["8.wav", "0.wav"]
