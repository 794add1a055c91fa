"""prepare_ravdess.py and prepare_cremad.py, on the real folders where they are, and on made-up ones."""

from collections import Counter

import numpy as np
import pytest
import soundfile

from sertk.datadir.lists import read_list

RAVDESS = "benchmark/local/prepare_ravdess.py"
CREMAD = "benchmark/local/prepare_cremad.py"


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def ravdess_names(actors=range(1, 25)):
    for actor in actors:
        for emotion in range(1, 9):
            for intensity in (1, 2) if emotion > 1 else (1,):
                for sentence in (1, 2):
                    for take in (1, 2):
                        numbers = (3, 1, emotion, intensity, sentence, take, actor)
                        yield f"Actor_{actor:02d}/{'-'.join(f'{n:02d}' for n in numbers)}.wav"


def test_ravdess_has_1440_recordings_in_six_splits(prepare, tmp_path):
    root = tmp_path / "ravdess"
    put(root, *ravdess_names(), "Actor_01/03-02-01-01-01-01-01.wav", "Actor_01/._03-01-01-01-01-01-01.wav")  # a song
    prepare(RAVDESS, root, tmp_path / "data")
    labels = read_list(tmp_path / "data/utt2label")
    assert Counter(labels.values()) == dict.fromkeys(("ang", "cal", "dis", "fea", "hap", "sad", "sur"), 192) | {
        "neu": 96
    }
    assert labels["Actor12-03-01-05-02-01-01-12"] == "ang"
    assert read_list(tmp_path / "data/utt2intensity")["Actor12-03-01-05-02-01-01-12"] == "strong"
    assert read_list(tmp_path / "data/text", None)["Actor12-03-01-05-02-01-01-12"] == "Kids are talking by the door."
    assert Counter(read_list(tmp_path / "data/spk2gender").values()) == {"m": 12, "f": 12}
    splits, speakers = read_list(tmp_path / "data/utt2split"), read_list(tmp_path / "data/utt2spk")
    assert sorted({speakers[utt] for utt, split in splits.items() if split == "1"}) == [
        "Actor01", "Actor07", "Actor13", "Actor19",
    ]  # fmt: skip
    assert not (tmp_path / "data/PARTIAL").exists()


def test_an_incomplete_ravdess_is_refused_or_stamped(prepare, tmp_path):
    root = tmp_path / "ravdess"
    put(root, *ravdess_names(range(1, 24)), "Actor_24/03-01-01-02-01-01-24.wav")  # there is no strong neutral
    result = prepare(RAVDESS, root, tmp_path / "data", code=1)
    assert f"{root}/Actor_24/03-01-01-02-01-01-24.wav: not a name of RAVDESS's speech" in result.err
    assert "actor 24: 0 recordings, expected 60" in result.err
    assert not (tmp_path / "data").exists()
    prepare(RAVDESS, "--allow-partial", "true", root, tmp_path / "data")
    assert "neu: 92 recordings, expected 96" in (tmp_path / "data/PARTIAL").read_text()
    assert "no recordings of RAVDESS" in prepare(RAVDESS, tmp_path, tmp_path / "data", code=1).err


@pytest.fixture
def cremad(tmp_path):
    """Two actors of CREMA-D, with the file that is silent everywhere and the one whose name is short."""
    root = tmp_path / "crema-d"
    put(root / "AudioWAV", *(f"{actor}_DFA_{label}_XX.wav" for actor in (1001, 1076) for label in ("ANG", "NEU")),
        "1001_IEO_HAP_LO.wav", "1040_ITH_SAD_X.wav", "1076_MTI_SAD_XX.wav", "1001_XXX_ANG_XX.wav")  # fmt: skip
    soundfile.write(root / "AudioWAV/1001_DFA_ANG_XX.wav", np.zeros(100), 16000)
    (root / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
        '1040,42,"Female","African American","Not Hispanic"\n1076,25,"Female","Asian","Not Hispanic"\n'
    )
    (root / "processedResults").mkdir()
    (root / "processedResults/tabulatedVotes.csv").write_text(
        '"","A","D","F","H","N","S","fileName","numResponses"\n"100001",2,0,0,0,1,0,"1001_DFA_ANG_XX",3\n'
        '"200001",0,0,3,0,0,0,"1001_DFA_ANG_XX",3\n'
    )
    return root


def test_cremad_has_votes_and_demographics(prepare, cremad, tmp_path):
    counts = {"ang": 2, "dis": 0, "fea": 0, "hap": 1, "neu": 2, "sad": 2}
    result = prepare(CREMAD, cremad, tmp_path / "data", code=1, COUNTS=counts)
    assert f"not the whole CREMA-D: {cremad}/AudioWAV/1001_XXX_ANG_XX.wav: not a name of CREMA-D's" in result.err
    (cremad / "AudioWAV/1001_XXX_ANG_XX.wav").unlink()
    prepare(CREMAD, cremad, tmp_path / "data", COUNTS=counts)
    data = tmp_path / "data"
    assert read_list(data / "utt2label") == {
        "1001_DFA_ANG_XX": "ang", "1001_DFA_NEU_XX": "neu", "1001_IEO_HAP_LO": "hap",
        "1040_ITH_SAD_XX": "sad", "1076_DFA_ANG_XX": "ang", "1076_DFA_NEU_XX": "neu",
    }  # fmt: skip
    assert read_list(data / "wav.scp")["1040_ITH_SAD_XX"] == f"{cremad}/AudioWAV/1040_ITH_SAD_X.wav"
    assert read_list(data / "utt2votes", None) == {"1001_DFA_ANG_XX": "E1=ang E2=ang E3=neu"}  # heard alone
    assert read_list(data / "spk2gender") == {"1001": "m", "1040": "f", "1076": "f"}
    assert read_list(data / "spk2race") == {"1001": "Caucasian", "1040": "African_American", "1076": "Asian"}
    assert read_list(data / "spk2age")["1040"] == "42"
    assert read_list(data / "utt2split")["1001_DFA_ANG_XX"] == "2"
    assert read_list(data / "utt2level")["1001_IEO_HAP_LO"] == "low"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "VideoDemographics.csv",
            "version https://git-lfs.github.com/spec/v1\n",
            "has no rows: not the corpus's table",
        ),
        (
            "VideoDemographics.csv",
            "ActorID,Age,Sex,Race,Ethnicity\n1001,51,,x,y\n",
            ":2: column 'Sex' is missing or empty",
        ),
        ("processedResults/tabulatedVotes.csv", "x,y\n1,2\n", ":2: column '' is missing or empty"),
        (
            "processedResults/tabulatedVotes.csv",
            ",A,D,F,H,N,S,fileName\n10,1,1,1,1,1,x,1001_DFA_ANG_XX\n",
            ":2: 'x' is not a number of votes",
        ),
    ],
)
def test_damaged_tables_of_cremad_are_one_line(prepare, cremad, tmp_path, name, content, message):
    """A clone without git lfs has stand-ins for its files."""
    (cremad / name).write_text(content)
    result = prepare(CREMAD, "--allow-partial", "true", cremad, tmp_path / "data", code=1)
    assert f"ERROR: {cremad / name}" in result.err and message in result.err and not (tmp_path / "data").exists()


def test_a_copy_at_a_lower_rate_is_stamped(prepare, cremad, tmp_path):
    soundfile.write(cremad / "AudioWAV/1001_DFA_ANG_XX.wav", np.zeros(100), 11025)
    prepare(CREMAD, "--allow-partial", "true", cremad, tmp_path / "data")
    partial = (tmp_path / "data/PARTIAL").read_text()
    assert "1001_DFA_ANG_XX.wav: 11025 Hz, expected 16000: nothing above 5512 Hz" in partial
    assert "ang: 2 recordings, expected 1271" in partial


def test_the_real_corpora_are_whole(prepare, corpus, tmp_path):
    prepare(RAVDESS, corpus("ravdess"), tmp_path / "ravdess")
    assert len(read_list(tmp_path / "ravdess/utt2spk")) == 1440
    prepare(CREMAD, "--allow-partial", "true", corpus("crema-d"), tmp_path / "cremad")
    votes = read_list(tmp_path / "cremad/utt2votes", None)
    assert len(votes) == len(read_list(tmp_path / "cremad/utt2spk")) == 7438
    assert len(set(read_list(tmp_path / "cremad/utt2spk").values())) == 91
