"""Tables of files in several toolkits' columns, as data folders."""

import json

import numpy as np
import pytest
import soundfile

from sertk.datadir.checks import problems
from sertk.datadir.corpusrows import Reading
from sertk.datadir.corpustable import read_corpus
from sertk.datadir.prepare import write_data_dir
from sertk.errors import SertkError


@pytest.fixture
def wavs(tmp_path):
    """Two seconds of noise in a/1.wav, a/2.wav and b/1.wav."""
    for name in ("a/1.wav", "a/2.wav", "b/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 32000), 16000)
    return tmp_path


def table(folder, text, name="corpus.csv"):
    (folder / name).write_text(text)
    return folder / name


def valid(folder, corpus):
    """The folder that the maps make has no problems."""
    write_data_dir(folder / "data", corpus.maps)
    return list(problems(folder / "data")) == []


def test_all_columns_become_maps(wavs):
    path = table(wavs, "file,speaker,emotion,session,text,gender,votes,split,age,race,ethnicity,Mood\n"
                       "a/1.wav,Anna B,very angry,S1,Guten Tag,female,ang;ang;neu,1,20,African American,x,good\n"
                       "a/2.wav,7,neutral,S1,,male,,2,31,Asian,x,\n"
                       "b/1.wav,10,neutral,S2,so,m,neu,1,44,Asian,y,\n")  # fmt: skip
    corpus = read_corpus([path], Reading())
    assert corpus.problems == [] and corpus.rates == {16000: 3}
    assert corpus.notes == [] and corpus.ignored == ["Mood"]
    assert corpus.maps == {
        "wav.scp": {"Anna_B-a-1": f"{wavs}/a/1.wav", "7-a-2": f"{wavs}/a/2.wav", "10-b-1": f"{wavs}/b/1.wav"},
        "segments": {},
        "utt2spk": {"Anna_B-a-1": "Anna_B", "7-a-2": "7", "10-b-1": "10"},
        "spk2gender": {"Anna_B": "f", "7": "m", "10": "m"},
        "utt2label": {"Anna_B-a-1": "very_angry", "7-a-2": "neutral", "10-b-1": "neutral"},
        "utt2session": {"Anna_B-a-1": "S1", "7-a-2": "S1", "10-b-1": "S2"},
        "text": {"Anna_B-a-1": "Guten Tag", "7-a-2": "", "10-b-1": "so"},
        "utt2votes": {"Anna_B-a-1": "E1=ang E2=ang E3=neu", "10-b-1": "E1=neu"},
        "utt2split": {"Anna_B-a-1": "1", "7-a-2": "2", "10-b-1": "1"},
        "utt2age": {"Anna_B-a-1": "20", "7-a-2": "31", "10-b-1": "44"},
        "utt2race": {"Anna_B-a-1": "African_American", "7-a-2": "Asian", "10-b-1": "Asian"},
        "utt2ethnicity": {"Anna_B-a-1": "x", "7-a-2": "x", "10-b-1": "y"},
    }
    assert valid(wavs, corpus)


def test_a_list_with_gaps_is_not_written_and_named(wavs):
    path = table(wavs, "file,speaker,emotion,session,gender,age\n"
                       "a/1.wav,x,ang,1,f,20\na/2.wav,y,neu,,divers,\nb/1.wav,z,neu,2,m,nan\n")  # fmt: skip
    corpus = read_corpus([path], Reading())
    assert corpus.notes == [
        "no utt2session: 1 of 3 rows have no session",
        "no utt2age: 2 of 3 rows have no age",
        "no spk2gender: 1 of 3 speakers have no gender ('divers' is neither f nor m)",
    ]
    assert not any(corpus.maps[name] for name in ("utt2session", "utt2age", "spk2gender"))


def test_a_gender_of_some_rows_alone_is_named(wavs):
    path = table(wavs, "file,speaker,emotion,gender\na/1.wav,x,ang,f\na/2.wav,x,neu,F?\n")
    corpus = read_corpus([path], Reading())
    assert corpus.notes == ["gender 'F?' is neither f nor m: that of the speaker's other rows counts"]
    assert corpus.maps["spk2gender"] == {"x": "f"}


def test_segments_have_times_in_seconds_or_as_pandas_writes_them(wavs):
    """audformat's segmented tables: NaT is the end of the file."""
    path = table(wavs, "file,start,end,speaker,emotion\n"
                       "a/1.wav,0 days 00:00:00,0 days 00:00:00.750000,x,ang\n"
                       "a/1.wav,0 days 00:00:00.750000,NaT,x,neu\na/2.wav,0,1.5,y,ang\na/2.wav,,,z,ang\n")  # fmt: skip
    corpus = read_corpus([path], Reading())
    assert corpus.maps["segments"] == {
        "x-1-0000000-0000075": "1 0.000 0.750",
        "x-1-0000075-0000200": "1 0.750 2.000",
        "y-2-0000000-0000150": "2 0.000 1.500",
        "z-2": "2 0.000 2.000",
    }
    assert corpus.maps["wav.scp"] == {"1": f"{wavs}/a/1.wav", "2": f"{wavs}/a/2.wav"}
    assert valid(wavs, corpus)


def test_emobox_folds_are_splits(wavs):
    """EmoBox's test files: key, wav, emo; speakers are in the file names, folds in the names of the tables."""
    rows = [{"key": f"x-{name}", "wav": f"root/{name}/1.wav", "emo": "a", "channel": 1} for name in "ab"]
    tables = [table(wavs, json.dumps(row), f"x_test_fold_{n}.jsonl") for n, row in enumerate(rows, 1)]
    (wavs / "root").symlink_to(wavs)
    corpus = read_corpus(tables, Reading(root=wavs, speaker_from=r"/(\w)/1"))
    assert corpus.maps["utt2split"] == {"a-x-a": "x_test_fold_1", "b-x-b": "x_test_fold_2"}
    assert corpus.maps["utt2spk"] == {"a-x-a": "a", "b-x-b": "b"}


def test_every_row_that_does_not_fit_is_named(wavs):
    (wavs / "empty.wav").touch()
    path = table(wavs, "file,speaker,emotion,start,end,gender\n"
                       "a/1.wav,x,ang,,,m\n"  # fits
                       "missing.wav,x,ang,,,\nempty.wav,x,ang,,,\n,x,ang,,,\na/1.wav,,ang,,,\na/1.wav,x,,,,\n"
                       "a/1.wav,x,ang,,,\na/2.wav,x,ang,1,0.5,\na/2.wav,x,ang,0,9,\na/2.wav,x,ang,soon,9,\n"
                       "a/2.wav,x,ang,,,f\nb/1.wav,x 1,ang,,,\na/2.wav,x_1,ang,,,\na/1.wav,x\n")  # fmt: skip
    corpus = read_corpus([path], Reading())
    assert [problem.removeprefix(f"{path}:").replace(f"{wavs}/", "") for problem in corpus.problems] == [
        "3: missing.wav: cannot be read: No such file or directory",
        "4: empty.wav: is empty",
        "5: no file",
        "6: a/1.wav: no speaker (--speaker-from takes it from file names)",
        "7: a/1.wav: no label",
        "9: a/2.wav: from 1 to 0.5 s is not a time span",
        "10: a/2.wav: ends at 9 s, the file at 2.00 s",
        "11: start 'soon' is not a time (1.5, 00:00:01.5, 0 days 00:00:01.5)",
        "14: a/2.wav: speakers 'x 1' and 'x_1' would both be x_1: rename one",
        "15: 2 columns where the header has 6",
        "8: a/1.wav: x-a-1 comes twice (also corpus.csv:2)",
        "12: a/2.wav: speaker x is 'f', 'm' before",
    ]
    assert corpus.maps["utt2label"] == {"x-a-1": "ang", "x_1-b-1": "ang"}


def test_audio_comes_once_whatever_its_speaker_and_id(wavs):
    """Else a recording is in training and test."""
    rows = "a/1.wav,x,ang,one,,\na/1.wav,y,neu,two,,\na/2.wav,x,ang,,0,1\na/2.wav,y,ang,,0,1.5\na/2.wav,y,ang,z,0,1\n"
    path = table(wavs, f"file,speaker,emotion,id,start,end\n{rows}")
    corpus = read_corpus([path], Reading())
    assert [problem.replace(f"{wavs}/", "") for problem in corpus.problems] == [
        "corpus.csv:3: a/1.wav: the same audio as corpus.csv:2",
        "corpus.csv:6: a/2.wav: the same audio as corpus.csv:4",
    ]


def test_spaces_in_a_files_name_are_kept(wavs):
    (wavs / "a/1.wav").rename(wavs / "a/1  b.wav")
    corpus = read_corpus([table(wavs, "file,speaker,emotion\n a/1  b.wav ,x,ang\n")], Reading())
    assert corpus.maps["wav.scp"] == {"x-1__b": f"{wavs}/a/1  b.wav"} and valid(wavs, corpus)


def test_a_table_without_a_needed_column_is_refused(wavs):
    path = table(wavs, "file,actor,emotion\na/1.wav,x,ang\n")
    with pytest.raises(
        SertkError, match=r"no column 'speaker or spk or .*it has file, actor, emotion; --columns speaker"
    ):
        read_corpus([path], Reading())
    assert read_corpus([path], Reading(columns={"speaker": "Actor"})).maps["utt2spk"] == {"x-1": "x"}
    unknown = read_corpus([path], Reading(unknown_speakers=True))
    assert unknown.maps["utt2spk"] == {"1": "1"}
    with pytest.raises(SertkError, match="no row fits"):
        read_corpus([table(wavs, "file,speaker,emotion\n")], Reading())
