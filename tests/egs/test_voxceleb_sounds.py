"""prepare_musan.py and prepare_rirs.py on small made-up folders in the corpora's layouts."""

import subprocess

import numpy as np
import pytest
import soundfile
from support import ROOT

from sertk.datadir.lists import read_list

MUSAN, RIRS = "voxceleb/local/prepare_musan.py", "voxceleb/local/prepare_rirs.py"
FEW = {"noise": 2, "music": 2, "speech": 1}


def put(path, seconds=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, int(16000 * seconds)), 16000)


@pytest.fixture
def musan(tmp_path):
    root = tmp_path / "musan"
    put(root / "noise/free-sound/noise-free-sound-0000.wav")
    put(root / "noise/sound-bible/noise-sound-bible-0000.wav", 1.25)
    put(root / "music/jamendo/music-jamendo-0000.wav")
    put(root / "music/jamendo/music-jamendo-0001.wav")
    put(root / "speech/librivox/speech-librivox-0000.wav")
    (root / "noise/free-sound/._noise-free-sound-0000.wav").touch()
    annotations = "music-jamendo-0000 rock Y somebody\nmusic-jamendo-0001 folk N anybody\n"
    (root / "music/jamendo/ANNOTATIONS").write_text(annotations)
    return root


def test_musan_becomes_three_folders_that_perturb_data_reads(prepare, musan, tmp_path, call):
    done = prepare(MUSAN, musan, tmp_path / "data", RECORDINGS=FEW)
    assert "musan_noise: 2 recordings, 0.0 hours" in done.err
    noise = tmp_path / "data/musan_noise"
    assert read_list(noise / "wav.scp")["noise-sound-bible-0000"] == str(
        musan / "noise/sound-bible/noise-sound-bible-0000.wav"
    )
    assert read_list(noise / "utt2dur") == {"noise-free-sound-0000": "0.5", "noise-sound-bible-0000": "1.25"}
    for part in FEW:
        assert call("validate-data", tmp_path / f"data/musan_{part}").code == 0
    words = ("--noise", noise, "--music", tmp_path / "data/musan_music")
    call("perturb-data", *words, tmp_path / "data/musan_speech", tmp_path / "out")
    lines = read_list(tmp_path / "out/utt2perturb", columns=None)
    assert lines["speech-librivox-0000-noise"].startswith(f"noise={musan}/noise/")
    assert lines["speech-librivox-0000-music"].startswith(f"music={musan}/music/jamendo/music-jamendo-000")


def test_music_with_vocals_is_left_out_when_asked(prepare, musan, tmp_path):
    prepare(MUSAN, "--vocals", "false", musan, tmp_path / "data", RECORDINGS=FEW)
    assert list(read_list(tmp_path / "data/musan_music/wav.scp")) == ["music-jamendo-0001"]


def test_other_counts_are_an_error_unless_partial_is_allowed(prepare, musan, tmp_path):
    done = prepare(MUSAN, musan, tmp_path / "data", code=1)
    assert "not the whole MUSAN: noise: 2 recordings, expected 930, and 2 more" in done.err
    prepare(MUSAN, "--allow-partial", "true", musan, tmp_path / "data")
    assert (tmp_path / "data/musan_speech/PARTIAL").exists()
    done = prepare(MUSAN, musan / "noise", tmp_path / "data", code=1)
    assert "no recordings of MUSAN (expected: noise, music and speech in" in done.err


def test_rirs_become_a_folder_of_responses(prepare, tmp_path, call):
    root, few = (
        tmp_path / "RIRS_NOISES",
        {
            "smallroom": ("simulated_rirs/smallroom", 2),
            "mediumroom": ("simulated_rirs/mediumroom", 1),
            "real": ("real_rirs_isotropic_noises", None),
        },
    )
    for path in (
        "smallroom/Room001/Room001-00001",
        "smallroom/Room002/Room002-00001",
        "mediumroom/Room001/Room001-00001",
    ):
        put(root / f"simulated_rirs/{path}.wav")
    for name in ("RVB2014_type1_rir_largeroom1_far_angla", "RVB2014_type1_noise_largeroom1_1"):
        put(root / f"real_rirs_isotropic_noises/{name}.wav")
    done = prepare(RIRS, "--sets", "smallroom,mediumroom,real", root, tmp_path / "rirs", SETS=few)
    assert "rirs: 4 responses of 4 rooms" in done.err
    rooms = read_list(tmp_path / "rirs/utt2spk")
    assert rooms["smallroom-Room002-00001"] == "smallroom-Room002" and "mediumroom-Room001-00001" in rooms
    assert [name for name in rooms if name.startswith("real")] == ["real-RVB2014_type1_rir_largeroom1_far_angla"]
    assert call("validate-data", tmp_path / "rirs").code == 0
    done = prepare(RIRS, root, tmp_path / "rirs", code=1)
    assert "not the whole RIRS_NOISES: smallroom: 2 responses, expected 20000" in done.err
    assert "'tiny' is not one of" in prepare(RIRS, "--sets", "tiny", root, tmp_path / "rirs", code=2).err
    assert "no room responses" in prepare(RIRS, tmp_path, tmp_path / "rirs", code=1).err


def test_recipe_trains_on_perturbed_copies_when_asked(tmp_path, musan):
    """Stages 1 and 2 on noise in VoxCeleb1's layout: folder and features of the originals and their copies."""
    for speaker in range(10001, 10005):
        put(tmp_path / f"voxceleb1/dev/wav/id{speaker}/abcdefghijk/00001.wav", 0.4)
    for speaker in (10270, 10271):
        put(tmp_path / f"voxceleb1/test/wav/id{speaker}/abcdefghijk/00001.wav", 0.4)
    trial = "0 id10270/abcdefghijk/00001.wav id10271/abcdefghijk/00001.wav\n"
    (tmp_path / "voxceleb1/veri_test2.txt").write_text(trial)
    (tmp_path / "fbank.conf").write_text("--num-mel-bins=16\n")
    words = ["--voxceleb1", "voxceleb1", "--simulated", "true", "--work", "work", "--stop-stage", "2", "--nj", "1"]
    words += ["--fbank-conf", tmp_path / "fbank.conf", "--perturb-conf", "conf/perturb.conf"]
    line = [ROOT / "egs/voxceleb/run.sh", *words]
    done = subprocess.run(list(map(str, line)), cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "work/data/train_perturbed"
    feats, utt2spk = (read_list(folder / name, columns=None) for name in ("feats.scp", "utt2spk"))
    assert len(feats) == 4 * 3 * 2 and len(set(utt2spk.values())) == 12
    assert {line.split("=")[0] for line in read_list(folder / "utt2perturb", columns=None).values()} >= {"speed"}
    assert (folder / "SIMULATED").exists() and not (tmp_path / "work/data/train/feats.scp").exists()
    # Features of other settings are not trained on.
    (tmp_path / "fbank.conf").write_text("--num-mel-bins=20\n")
    line[line.index("--stop-stage") + 1] = "3"
    done = subprocess.run([*map(str, line), "--stage", "3"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    message = f"computed with other settings ({folder}/feats/fbank.conf) than {tmp_path}/fbank.conf: start at stage 2"
    expected = f"run.sh: ERROR: {folder}/feats.scp: {message}, or give the same again\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
