"""prepare_emodb.py and prepare_librispeech.py, on the real folders where they are, and on made-up ones."""

from collections import Counter

import pytest
from support import ROOT

from sertk.datadir.lists import read_list

EMODB = "emodb/local/prepare_emodb.py"
LIBRISPEECH = "emodb/local/prepare_librispeech.py"


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_emodb_has_339_recordings_in_five_sessions(prepare, emodb, tmp_path):
    prepare(EMODB, emodb, tmp_path)
    labels = read_list(tmp_path / "utt2label")
    assert Counter(labels.values()) == {"ang": 127, "hap": 71, "neu": 79, "sad": 62}
    assert labels["03a01Wa"] == "ang"
    speakers, sessions = read_list(tmp_path / "utt2spk"), read_list(tmp_path / "utt2session")
    genders = read_list(tmp_path / "spk2gender")
    members = sorted({(session, genders[speakers[utt]], speakers[utt]) for utt, session in sessions.items()})
    assert [speaker for _, _, speaker in members] == ["08", "03", "09", "10", "13", "11", "14", "12", "16", "15"]
    assert [gender for _, gender, _ in members] == ["f", "m"] * 5
    assert read_list(tmp_path / "wav.scp")["03a01Wa"] == f"{emodb}/wav/03a01Wa.wav"
    assert not (tmp_path / "PARTIAL").exists()
    # Every speaker says every sentence: ten codes, ten texts.
    scripts, text = read_list(tmp_path / "utt2script"), read_list(tmp_path / "text", columns=None)
    assert len(set(scripts.values())) == len(set(text.values())) == 10
    assert len({(scripts[utt], text[utt]) for utt in labels}) == 10
    assert text["03a01Wa"] == "Der Lappen liegt auf dem Eisschrank." and scripts["03a01Wa"] == "a01"


def test_all_seven_emotions_are_taken(prepare, tmp_path):
    takes = zip(("a01", "a02", "a04", "a05", "a07", "b01", "b02"), "WLEAFTN", strict=True)
    put(tmp_path / "emodb" / "wav", *(f"03{code}{letter}a.wav" for code, letter in takes), "._03a01Wa.wav")
    prepare(EMODB, tmp_path / "emodb", tmp_path / "data", "--allow-partial", "true")
    assert list(read_list(tmp_path / "data/utt2label").values()) == ["ang", "bor", "dis", "fea", "hap", "sad", "neu"]
    assert "ang: 1 recordings, expected 127" in (tmp_path / "data/PARTIAL").read_text()


def test_a_wrong_emodb_is_named(prepare, tmp_path):
    result = prepare(EMODB, tmp_path, tmp_path / "data", code=1)
    assert result.err.startswith(f"prepare-emodb: ERROR: {tmp_path}/wav: no recordings of EmoDB")
    put(tmp_path / "wav", "03a01Wa.wav", "07a01Wa.wav", "03a01Xa.wav", "03a03Wa.wav")
    result = prepare(EMODB, tmp_path, tmp_path / "data", code=1)
    assert f"{tmp_path}/wav/07a01Wa.wav: not a name of EmoDB's" in result.err
    assert f"{tmp_path}/wav/03a01Xa.wav: not a name of EmoDB's" in result.err
    assert f"{tmp_path}/wav/03a03Wa.wav: not a name of EmoDB's" in result.err
    assert not (tmp_path / "data").exists()


def test_librispeech_trains_on_251_speakers_and_tries_10_others(prepare, librispeech, tmp_path):
    prepare(LIBRISPEECH, librispeech, tmp_path)
    training, testing = (read_list(tmp_path / folder / "utt2spk") for folder in ("train", "test"))
    assert (len(training), len(set(training.values()))) == (251, 251)
    assert (len(testing), len(set(testing.values()))) == (100, 10)
    assert not set(training.values()) & set(testing.values())
    trials = [line.split() for line in (tmp_path / "test/trials").read_text().splitlines()]
    assert Counter(label for _, _, label in trials) == {"target": 10 * 45, "nontarget": 100 * 99 // 2 - 10 * 45}
    assert len({frozenset(pair[:2]) for pair in trials}) == len(trials)
    assert all((testing[a] == testing[b]) == (label == "target") for a, b, label in trials)
    assert set(read_list(tmp_path / "train/spk2gender").values()) == {"f", "m"}


@pytest.fixture
def made_up(tmp_path):
    """Two training subsets of one speaker each, and a test subset of two with four recordings."""
    root = tmp_path / "LibriSpeech"
    put(root / "train-clean-100/19/198", *(f"19-198-{n:04d}.flac" for n in range(10)), "19-198.trans.txt")
    put(root / "train-other-500/20/205", "20-205-0000.flac")
    for speaker in (61, 121):
        put(root / f"test-clean/{speaker}/7", *(f"{speaker}-7-{n:04d}.flac" for n in range(4)))
    return root


def test_subsets_and_recordings_a_speaker_can_be_chosen(prepare, made_up, tmp_path):
    prepare(LIBRISPEECH, made_up, tmp_path / "data", "--test-subset", "test-clean", "--train-per-speaker", "3",
            "--test-per-speaker", "2")  # fmt: skip
    assert list(read_list(tmp_path / "data/train/utt2spk")) == [
        "19-198-0000",
        "19-198-0003",
        "19-198-0006",
        "20-205-0000",
    ]
    assert (tmp_path / "data/test/trials").read_text().splitlines() == [
        "121-7-0000 121-7-0002 target",
        "121-7-0000 61-7-0000 nontarget",
        "121-7-0000 61-7-0002 nontarget",
        "121-7-0002 61-7-0000 nontarget",
        "121-7-0002 61-7-0002 nontarget",
        "61-7-0000 61-7-0002 target",
    ]
    prepare(LIBRISPEECH, made_up, tmp_path / "one", "--test-subset=test-clean", "--train-subsets=train-other-500")
    assert list(read_list(tmp_path / "one/train/spk2utt")) == ["20"]
    assert not (tmp_path / "one/train/spk2gender").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test-subset", "test-other"], "LibriSpeech/test-other: no recordings"),
        (["--test-subset", "train-clean-100"], "speaker 19 is in train-clean-100 and in the training subsets too"),
        (["--test-subset", "test-clean", "--train-subsets", "nosuch"], "LibriSpeech/nosuch: no recordings"),
        (
            ["--test-subset", "train-other-500", "--train-subsets", "train-clean-100"],
            "no trials from 1 test recordings",
        ),
    ],
)
def test_a_wrong_choice_of_subsets_is_one_line(prepare, made_up, tmp_path, options, message):
    result = prepare(LIBRISPEECH, made_up, tmp_path / "data", *options, code=1)
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_the_whole_emodb_has_535_recordings(prepare, tmp_path):
    put(tmp_path / "emodb" / "wav", "03a01Wa.wav")
    result = prepare(EMODB, "--whole", "true", tmp_path / "emodb", tmp_path / "data", "--allow-partial", "true")
    assert "bor: 0 recordings, expected 81" in result.err and "ang: 1 recordings, expected 127" in result.err


def test_speechocean_holds_its_last_speakers_out(prepare, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "egs/emodb/local")  # where a script that is run finds its neighbours
    put(tmp_path / "WAVE", *(f"SPEAKER{number:04d}/0{number}0{n}.WAV" for number in range(5) for n in range(2)))
    put(tmp_path / "WAVE", "SPEAKER0000/notes.txt", "SPEAKER0000/._00001.WAV")
    script = "emodb/local/prepare_speechocean.py"
    prepare(script, "--test-speakers", 2, tmp_path, tmp_path / "data")
    train, test = (read_list(tmp_path / "data" / name / "utt2spk") for name in ("train", "test"))
    assert set(train.values()) == {"SPEAKER0000", "SPEAKER0001", "SPEAKER0002"} and len(train) == 6
    assert list(test) == [f"SPEAKER000{number}-0{number}0{n}" for number in (3, 4) for n in range(2)]
    assert (tmp_path / "data/test/trials").read_text().count(" target\n") == 2
    err = prepare(script, "--test-speakers", 5, tmp_path, tmp_path / "other", code=1).err
    assert "5 speakers in WAVE/SPEAKER…, more than 5 are needed" in err
