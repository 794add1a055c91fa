"""make_feats.sh: features of a data folder in any number of jobs."""

import os
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from sertk.kaldi.tables import read_manifest, read_table

COMMON = ROOT / "egs" / "common"


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder of 9 noises, 3 speakers, 0.2 to 0.6 s."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = {"wav.scp": [], "utt2spk": []}
    for index in range(9):
        utterance, path = f"s{index % 3}-u{index}", tmp_path / f"{index}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(rng.integers(-3000, 3000, 3200 + 800 * index, dtype=np.int16).tobytes())
        lines["wav.scp"].append(f"{utterance} {path}\n")
        lines["utt2spk"].append(f"{utterance} s{index % 3}\n")
    for name, rows in lines.items():
        (folder / name).write_text("".join(sorted(rows)))
    speakers = (f"s{n} {' '.join(f's{n}-u{i}' for i in range(n, 9, 3))}\n" for n in range(3))
    (folder / "spk2utt").write_text("".join(speakers))
    return folder


def make_feats(*words, cwd):
    path = os.pathsep.join(map(str, (ROOT / "bin", COMMON / "utils", COMMON / "steps", os.environ["PATH"])))
    line = ["make_feats.sh", *map(str, words)]
    return subprocess.run(line, cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=300)


def test_features_are_normalised_unless_told_otherwise(data, tmp_path):
    (tmp_path / "fbank.conf").write_text("--cmvn=false\n--num-mel-bins=24\n")
    conf = ("--config", tmp_path / "fbank.conf")
    for words, cmvn in (((), "segment"), (conf, "none"), ((*conf, "--cmvn", "true"), "segment")):
        done = make_feats("--nj", 1, *words, "data", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert read_manifest(f"ark:{data}/feats/feats.1.ark").settings["cmvn"] == cmvn


def test_the_number_of_jobs_changes_no_byte_of_any_key(data, tmp_path):
    config = tmp_path / "fbank.conf"
    config.write_text("--num-mel-bins=24\n")
    found = []
    for nj in (1, 4):
        done = make_feats("--nj", nj, "--config", config, "data", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "features for 9 of 9 segments" in done.stdout
        feats = {key: matrix.tobytes() for key, matrix in read_table(f"scp:{data}/feats.scp", verify=True)}
        found.append((list(feats.items()), (data / "utt2num_frames").read_text()))
        assert [line.split()[0] for line in (data / "wav.scp").read_text().splitlines()] == list(feats)
        arks = sorted(path.name for path in (data / "feats").glob("*.ark"))
        assert arks == sorted(f"feats.{job}.ark" for job in range(1, nj + 1))
    assert found[0] == found[1]
    assert found[0][1].startswith("s0-u0 18\n")  # 3200 samples: 1 + (3200 - 400) // 160
    # A rerun keeps the archives, whatever has become of feats.scp; with another conf it computes them.
    before = {path: path.stat().st_ino for path in (data / "feats").glob("feats.*.ark")}
    script = (data / "feats.scp").read_bytes()
    (data / "feats.scp").write_text("s0-u0 elsewhere.ark:1\n")
    done = make_feats("--nj", 4, "--config", config, "data", cwd=tmp_path)
    assert done.stdout.endswith("9 of 9 segments, kept: computed from the same recordings and settings\n"), done.stderr
    assert {path: path.stat().st_ino for path in before} == before and (data / "feats.scp").read_bytes() == script
    assert (data / "feats/fbank.conf").read_text() == config.read_text()
    config.write_text("--num-mel-bins=20\n")
    done = make_feats("--nj", 2, "--config", config, "data", cwd=tmp_path)
    assert done.stdout.endswith("9 of 9 segments\n"), done.stderr
    assert {matrix.shape[1] for _, matrix in read_table(f"scp:{data}/feats.scp")} == {20}
    shutil.copytree(data, tmp_path / "copy")  # scripts of a copy name its own archives
    done = make_feats("--nj", 2, "--config", config, "copy", cwd=tmp_path)
    assert done.stdout.endswith("9 of 9 segments\n"), done.stderr
    assert f"{tmp_path}/copy/feats/feats.1.ark" in (tmp_path / "copy/feats.scp").read_text()
    done = make_feats("--nj", 1, "copy", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "copy/feats/fbank.conf").read_text() == ""


def test_more_jobs_than_segments_are_as_many_as_segments(data, tmp_path):
    for name in ("wav.scp", "utt2spk"):
        lines = (data / name).read_text().splitlines(keepends=True)
        (data / name).write_text("".join(lines[:2]))
    (data / "spk2utt").write_text("s0 s0-u0 s0-u3\n")
    done = make_feats("--nj", 20, "data", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("feats.*.ark"))) == 2
    assert str(tmp_path / "out" / "feats.1.ark") in (data / "feats.scp").read_text()


def test_channel_column_of_segments_chooses_the_channel(data, tmp_path, call):
    """A stereo file of two recordings: features by its channels are those of the recordings alone."""
    samples = []
    for index in (0, 3):
        with wave.open(str(tmp_path / f"{index}.wav"), "rb") as file:
            samples.append(np.frombuffer(file.readframes(3200), np.int16))
    with wave.open(str(tmp_path / "both.wav"), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.stack(samples, axis=1).tobytes())
    (data / "wav.scp").write_text(f"r {tmp_path / 'both.wav'}\n")
    (data / "utt2spk").write_text("s0-a s0\ns0-b s0\n")
    (data / "spk2utt").write_text("s0 s0-a s0-b\n")
    (data / "segments").write_text("s0-a r 0 0.2 A\ns0-b r 0 0.2 1\n")
    assert "2 of 2 lines have a channel column" in call("validate-data", data).err
    done = make_feats("--nj", 1, "--cmvn", "false", "--compress", "none", "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = tmp_path / "alone.scp"
    alone.write_text(f"a {tmp_path}/0.wav\nb {tmp_path}/3.wav\n")
    # As long: the last bit of a frame may depend on the number of frames.
    with wave.open(str(tmp_path / "3.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples[1].tobytes())
    call("make-fbank", "--compress", "none", f"scp:{alone}", f"ark:{tmp_path}/alone.ark")
    by_channel = [feats for _, feats in read_table(f"scp:{data}/feats.scp")]
    expected = [feats for _, feats in read_table(f"ark:{tmp_path}/alone.ark")]
    assert len(by_channel[0]) == 18 and not np.array_equal(*by_channel)
    np.testing.assert_array_equal(by_channel, expected)


def test_a_missing_recording_leaves_no_feats_scp(data, tmp_path):
    make_feats("--nj", 2, "data", cwd=tmp_path)
    (tmp_path / "4.wav").unlink()
    done = make_feats("--nj", 2, "data", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 of 2 jobs failed" in done.stderr
    assert "4.wav" in done.stderr
    assert not (data / "feats.scp").exists()


def test_missing_recordings_are_skipped_up_to_max_skip(data, tmp_path):
    (tmp_path / "4.wav").unlink()
    script = (data / "wav.scp").read_text()
    (data / "wav.scp").write_text(script.replace(f"{tmp_path}/7.wav", f"cat {tmp_path}/7.wav; exit 3 |"))
    done = make_feats("--nj", 2, "--max-skip", 0.5, "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "features for 7 of 9 segments" in done.stdout
    keys = [line.split()[0] for line in (data / "feats.scp").read_text().splitlines()]
    assert len(keys) == 7 and "s1-u4" not in keys and "s1-u7" not in keys
    assert not (data / "feats/made_of").exists()  # a rerun tries again
    logs = "".join(path.read_text() for path in (data / "feats" / "log").iterdir())
    assert "4.wav cannot be read" in logs and "exited with 3" in logs


def test_whatever_features_are_computed_from_is_an_input(data, tmp_path):
    """Lists, recordings by name, in commands and in perturbations, words, files by content, missing files."""
    noise, conf = tmp_path / "a noise.wav", tmp_path / "x.conf"
    for path in (noise, conf, tmp_path / "room.wav"):
        path.write_text("x")
    script = (data / "wav.scp").read_text().replace(f"{tmp_path}/7.wav", f"cat {tmp_path}/7.wav |")
    (data / "wav.scp").write_text(script.replace(f"{tmp_path}/8.wav", str(noise)))
    (data / "utt2perturb").write_text(f"s0-u0 rir={tmp_path}/room.wav\n")

    def inputs(*words):
        line = 'set -euo pipefail; . recipe.sh; inputs=$(inputs_of "$@"); echo "$inputs"'
        path = f"{COMMON}/utils:{os.environ['PATH']}"
        command = ["bash", "-c", line, "bash", *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True
        ).stdout

    words = ("data", conf, "true")
    found = [inputs(*words), inputs("data", conf, "false"), inputs("data", "true")]
    assert found[0] == inputs(*words) == inputs(data, *words[1:]) and len(found[0]) == 65
    for change in (
        lambda: (tmp_path / "0.wav").write_bytes(b"1"),  # by name
        lambda: (tmp_path / "7.wav").write_bytes(b"1"),  # in a command
        lambda: noise.write_text("12"),  # by a name with a space
        lambda: (tmp_path / "room.wav").write_text("12"),
        lambda: os.utime(tmp_path / "1.wav", (0, 0)),
        lambda: (tmp_path / "1.wav").unlink(),
        lambda: conf.write_text("y"),
        lambda: (data / "segments").write_text("s0-u0 r 0 1\n"),
        lambda: (data / "utt2perturb").unlink(),
        lambda: (data / "wav.scp").write_text(script),
    ):
        change()
        found.append(inputs(*words))
    assert len(set(found)) == len(found) == 13


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nosuch"], 1, "make_feats.sh: ERROR: nosuch/wav.scp is missing"),
        (["--config", "nosuch.conf", "data"], 1, "make_feats.sh: ERROR: nosuch.conf is missing"),
        ([], 2, "usage: make_feats.sh"),
        (["--nosuch", "1", "data"], 2, "make_feats.sh: ERROR: there is no option --nosuch"),
    ],
)
def test_wrong_calls_say_what_is_wrong(data, tmp_path, words, code, message):
    done = make_feats(*words, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr and not (data / "feats").exists()


def test_perturbed_utterances_are_computed_in_any_number_of_jobs(data, tmp_path, call):
    """With 2 jobs the first has originals alone, and so no list, and must not complain."""
    call("perturb-data", "--speed", "0.9", data, tmp_path / "aug")
    found = []
    for nj in (1, 2):
        done = make_feats("--nj", nj, "--cmvn", "false", "aug", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "features for 18 of 18 segments" in done.stdout
        found.append({key: matrix.tobytes() for key, matrix in read_table(f"scp:{tmp_path}/aug/feats.scp")})
    assert found[0] == found[1]
    frames = dict(line.split() for line in (tmp_path / "aug/utt2num_frames").read_text().splitlines())
    assert (frames["s0-u0"], frames["sp0.9-s0-u0"]) == ("18", "20")
    assert call("validate-data", "--verify", "true", tmp_path / "aug").code == 0
