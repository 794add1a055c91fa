"""prepare_voxceleb.py on small made-up folders in both layouts."""

import shutil

import pytest
from support import needs_ffmpeg

from sertk.datadir.lists import read_list

SCRIPT = "voxceleb/local/prepare_voxceleb.py"
SIMULATED = ("--simulated", "true")
DEV = ["id10001/aB-c_dEfGhI/00001", "id10001/aB-c_dEfGhI/00002", "id10002/xxxxxxxxxxx/00007"]
TEST = ["id10270/5r0dWxy17C8/00001", "id10270/zjwijMp0Qyw/00003", "id10271/1gtz-CUIygI/00001"]
TRIALS = """1 id10270/5r0dWxy17C8/00001.wav id10270/zjwijMp0Qyw/00003.wav
0 id10270/5r0dWxy17C8/00001.wav id10271/1gtz-CUIygI/00001.wav
"""


def put(folder, names, suffix=".wav"):
    for name in names:
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def voxceleb1(tmp_path):
    root = tmp_path / "voxceleb1"
    put(root / "dev" / "wav", DEV)
    put(root / "test" / "wav", TEST)
    put(root / "dev" / "wav", ["id10001/aB-c_dEfGhI/._00001"])
    (root / "veri_test2.txt").write_text(TRIALS)
    return root


def ids(names):
    return [name.replace("/", "-") for name in names]


def test_dev_is_for_training_and_the_trials_for_testing(prepare, voxceleb1, tmp_path):
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, *SIMULATED)
    train = read_list(tmp_path / "data/train/wav.scp")
    assert train == {utt: f"{voxceleb1}/dev/wav/{name}.wav" for utt, name in zip(ids(DEV), DEV, strict=True)}
    assert list(read_list(tmp_path / "data/train/utt2spk").values()) == ["id10001", "id10001", "id10002"]
    assert list(read_list(tmp_path / "data/test/wav.scp")) == ids(TEST)
    assert (tmp_path / "data/test/trials_O").read_text().splitlines() == [
        "id10270-5r0dWxy17C8-00001 id10270-zjwijMp0Qyw-00003 target",
        "id10270-5r0dWxy17C8-00001 id10271-1gtz-CUIygI-00001 nontarget",
    ]
    assert (tmp_path / "data/train/SIMULATED").exists()
    assert (tmp_path / "data/test/SIMULATED").exists()


def test_flat_layout_training_leaves_the_trials_speakers_out(prepare, tmp_path):
    put(tmp_path / "flat" / "wav", [*DEV, *TEST, "id10271/other/00009"])
    (tmp_path / "list.txt").write_text(TRIALS)
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", tmp_path / "flat", "--trials", tmp_path / "list.txt", *SIMULATED)
    assert list(read_list(tmp_path / "data/train/utt2spk")) == ids(DEV)
    assert (tmp_path / "data/test/trials_list").exists()
    # Of the held-out speakers, only what the trials name is needed.
    assert list(read_list(tmp_path / "data/test/utt2spk")) == ids(TEST)


def test_several_lists_share_a_test_folder(prepare, voxceleb1, tmp_path):
    """E's speakers, who are of the dev set, are not trained on."""
    lines = f"1 {DEV[0]}.wav {DEV[1]}.wav\n0 {DEV[0]}.wav {TEST[0]}.wav\n"
    (voxceleb1.parent / "list_test_all2.txt").write_text(lines)
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, "--trials", "O,E", *SIMULATED)
    assert list(read_list(tmp_path / "data/train/utt2spk").values()) == ["id10002"]
    assert set(read_list(tmp_path / "data/test/utt2spk")) == {*ids(DEV[:2]), *ids(TEST)}
    assert (tmp_path / "data/test/trials_E").read_text().splitlines()[0].endswith(" target")
    # Prepared again for one list, the other's is gone.
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, *SIMULATED)
    assert [path.name for path in (tmp_path / "data/test").glob("trials*")] == ["trials_O"]
    assert len(read_list(tmp_path / "data/train/utt2spk")) == 3


@needs_ffmpeg
def test_calibration_speakers_are_taken_out_of_training(prepare, tmp_path):
    """Evenly spread over the ids; their recordings know their videos, so that targets can be of different ones."""
    names = [f"id1000{n}/video-{v}/00001" for n in range(5) for v in "ab"]
    put(tmp_path / "vox2" / "dev" / "wav", names)
    options = ("--voxceleb2", tmp_path / "vox2", *SIMULATED)
    prepare(SCRIPT, tmp_path / "data", *options, "--calibration-speakers", 2)
    assert set(read_list(tmp_path / "data/train/utt2spk").values()) == {"id10001", "id10003", "id10004"}
    assert read_list(tmp_path / "data/held_out/utt2session") == {
        f"{speaker}-video-{v}-00001": f"{speaker}-video-{v}" for speaker in ("id10000", "id10002") for v in "ab"
    }
    assert (tmp_path / "data/held_out/SIMULATED").exists()
    err = prepare(SCRIPT, tmp_path / "none", *options, "--calibration-speakers", 5, code=1).err
    assert "--calibration-speakers=5: no speaker is left for training" in err and not (tmp_path / "none/train").exists()


def test_m4a_is_read_through_ffmpeg_unless_it_was_converted(prepare, voxceleb1, tmp_path):
    two = tmp_path / "vox celeb2"
    put(two / "dev" / "aac", ["id00012/21Uxsk56VDQ/00001", "id00012/21Uxsk56VDQ/00002"], ".m4a")
    put(two / "dev" / "wav", ["id00012/21Uxsk56VDQ/00002"])
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, "--voxceleb2", two, *SIMULATED)
    train = read_list(tmp_path / "data/train/wav.scp", columns=None)
    assert len(train) == 5
    piped = train["id00012-21Uxsk56VDQ-00001"]
    assert piped == (
        f"ffmpeg -nostdin -v error -i '{two}/dev/aac/id00012/21Uxsk56VDQ/00001.m4a' -ac 1 -ar 16000 -f wav - |"
    )
    assert train["id00012-21Uxsk56VDQ-00002"] == f"{two}/dev/wav/id00012/21Uxsk56VDQ/00002.wav"


def test_a_missing_ffmpeg_is_one_line(prepare, tmp_path, monkeypatch):
    put(tmp_path / "dev" / "aac", ["id00012/21Uxsk56VDQ/00001"], ".m4a")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = prepare(SCRIPT, tmp_path / "data", "--voxceleb2", tmp_path, *SIMULATED, code=1)
    assert result.err == (
        f"prepare-voxceleb: ERROR: {tmp_path}: has m4a files, and ffmpeg, which reads them, is not installed "
        "(or give wav files)\n"
    )


def test_voxceleb2_alone_has_no_trials(prepare, tmp_path):
    put(tmp_path / "two" / "wav", ["id00012/21Uxsk56VDQ/00001"])
    prepare(SCRIPT, tmp_path / "data", "--voxceleb2", tmp_path / "two", *SIMULATED)
    assert (tmp_path / "data/train/wav.scp").exists()
    assert not (tmp_path / "data/test").exists()


def test_a_wrong_number_of_speakers_stops_unless_partial(prepare, voxceleb1, tmp_path):
    result = prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, code=1)
    assert f"VoxCeleb1 in {voxceleb1} has 4 speakers, expected 1251" in result.err.splitlines()[-1]
    assert "has 6 recordings (dev/wav 3, test/wav 3), expected 153516" in result.err
    assert not (tmp_path / "data").exists()
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, "--allow-partial", "true")
    for folder in ("train", "test"):
        assert "4 speakers, expected 1251" in (tmp_path / "data" / folder / "PARTIAL").read_text()


VOXCELEB2 = ["id00012/21Uxsk56VDQ/00001", "id00012/21Uxsk56VDQ/00002", "id00013/21Uxsk56VDQ/00001"]


def test_recordings_are_counted_and_not_speakers_alone(prepare, tmp_path):
    put(tmp_path / "two/dev/wav", VOXCELEB2)
    counts = {"SPEAKERS": {"VoxCeleb2": 2}, "RECORDINGS": {"VoxCeleb2": 4}}
    words = (tmp_path / "data", "--voxceleb2", tmp_path / "two")
    result = prepare(SCRIPT, *words, code=1, **counts)
    assert "has 3 recordings, expected 4" in result.err.splitlines()[-1] and not (tmp_path / "data").exists()
    prepare(SCRIPT, *words, "--allow-partial", "true", **counts)
    assert "has 3 recordings, expected 4" in (tmp_path / "data/train/PARTIAL").read_text()
    prepare(SCRIPT, *words, SPEAKERS={"VoxCeleb2": 2}, RECORDINGS={"VoxCeleb2": 3})
    assert not (tmp_path / "data/train/PARTIAL").exists()


def test_the_counts_are_those_of_the_published_corpora(prepare, voxceleb1, tmp_path):
    err = prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, code=1).err
    assert "expected 153516" in err and 148642 + 4874 == 153516
    put(tmp_path / "two/wav", VOXCELEB2)
    err = prepare(SCRIPT, tmp_path / "data", "--voxceleb2", tmp_path / "two", code=1).err
    assert "has 3 recordings, expected 1092009" in err


@pytest.mark.parametrize("copy", [".m4a.wav", ".wav", ".wav.wav", ".flac", ".m4a.flac"])
def test_a_recording_as_wav_and_m4a_is_read_as_wav(prepare, tmp_path, copy):
    two = tmp_path / "two"
    put(two / "dev/aac", VOXCELEB2, ".m4a")
    put(two / "dev/aac", VOXCELEB2, copy)
    result = prepare(SCRIPT, tmp_path / "data", "--voxceleb2", two, *SIMULATED)
    assert read_list(tmp_path / "data/train/wav.scp") == {
        utt: f"{two}/dev/aac/{name}{copy}" for utt, name in zip(ids(VOXCELEB2), VOXCELEB2)
    }
    assert "3 recordings exist more than once" in result.err


def test_the_plain_wav_is_taken_before_a_doubled_one(prepare, tmp_path):
    for suffix in (".wav.wav", ".m4a.wav", ".wav", ".flac"):
        put(tmp_path / "dev/wav", VOXCELEB2[:1], suffix)
    prepare(SCRIPT, tmp_path / "data", "--voxceleb2", tmp_path, *SIMULATED)
    assert read_list(tmp_path / "data/train/wav.scp")[ids(VOXCELEB2)[0]].endswith("/00001.wav")


def test_the_whole_corpora_leave_7205_speakers_to_train_with(prepare, tmp_path):
    one, two = tmp_path / "one" / "wav", tmp_path / "two" / "dev" / "wav"
    trial = ["id10270/5r0dWxy17C8/00001", "id10270/zjwijMp0Qyw/00003"] + [f"id{n}/v/00001" for n in range(10271, 10310)]
    put(one, trial + [f"id{n}/v/00001" for n in [*range(10001, 10270), *range(10310, 11252)]])
    put(two, [f"id{n:05d}/v/00001" for n in range(12, 12 + 5994)])
    lines = [f"{int(n == 1)} {trial[0]}.wav {name}.wav\n" for n, name in enumerate(trial[1:], 1)]
    (tmp_path / "list").write_text("".join(lines))
    result = prepare(SCRIPT, tmp_path / "data", "--voxceleb1", one.parent, "--voxceleb2", two.parents[1],
                     "--trials", tmp_path / "list", RECORDINGS={"VoxCeleb1": 1252, "VoxCeleb2": 5994})  # fmt: skip
    assert "PARTIAL" not in result.err and "7205 recordings of 7205 speakers" in result.err
    assert "41 recordings of 40 speakers, trials: list 40" in result.err


def test_trials_without_their_recordings_are_named(prepare, voxceleb1, tmp_path):
    (voxceleb1 / "test/wav/id10271/1gtz-CUIygI/00001.wav").unlink()
    result = prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, *SIMULATED, code=1)
    assert "has no recording id10271-1gtz-CUIygI-00001 of the trials" in result.err.splitlines()[-1]
    prepare(SCRIPT, tmp_path / "data", "--voxceleb1", voxceleb1, *SIMULATED, "--allow-partial", "true")
    assert len((tmp_path / "data/test/trials_O").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "Wanted: --voxceleb1, --voxceleb2 or both."),
        (["--voxceleb1", "nosuch"], 1, "nosuch: not VoxCeleb1: it has none of dev/wav, test/wav, wav"),
        (["--voxceleb1", "voxceleb1", "--trials", "broken"], 1, "broken:2: not a trial"),
        (["--voxceleb1", "voxceleb1", "--trials", "nosuch"], 1, "nosuch"),
        (["--voxceleb1", "voxceleb1", "--trials", "empty"], 1, "empty: no trials in it"),
        (["--voxceleb1", "names"], 1, "names/wav/A.J._Buckley/x/00001.wav: not a recording of VoxCeleb1"),
        (["--voxceleb1", "bare"], 1, "bare/veri_test2.txt: no trial list"),
        (["--voxceleb1", "voxceleb1", "--trials", "O,H"], 1, "voxceleb1/list_test_hard2.txt: no trial list"),
        (["--voxceleb1", "voxceleb1", "--trials", "O,"], 1, ": neither a file nor one of VoxCeleb1's lists (O, E, H, "),
        (["--voxceleb1", "voxceleb1", "--trials", "O,voxceleb1/veri_test2.txt"], 1, "two lists 'O'"),
    ],
)
def test_a_wrong_call_is_one_line(prepare, voxceleb1, tmp_path, monkeypatch, options, code, message):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "names" / "wav", ["A.J._Buckley/x/00001"])
    put(tmp_path / "bare" / "wav", DEV)
    (tmp_path / "broken").write_text(TRIALS.splitlines()[0] + "\n1 id10270/x/00001.wav\n")
    (tmp_path / "empty").touch()
    result = prepare(SCRIPT, tmp_path / "data", *options, *SIMULATED, code=code)
    assert message in result.err
    assert len(result.err.splitlines()) == 1
