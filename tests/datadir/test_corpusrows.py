"""Rows of a table of files: columns, speakers, times, and what does not fit."""

import numpy as np
import pytest
import soundfile

from sertk.datadir.corpusrows import Reading, RowReader
from sertk.datadir.records import Record
from sertk.errors import SertkError

ROW = {"file": "a 1.wav", "speaker": "Anna-B", "emotion": "very angry"}


@pytest.fixture
def read(tmp_path):
    """read(values, speaker_from=…): the row of a table beside two seconds of noise, `a 1.wav`."""
    soundfile.write(tmp_path / "a 1.wav", np.random.default_rng(0).normal(0, 0.1, 32000), 16000)

    def call(values, **reading):
        return RowReader(Reading(**reading)).row(Record("t.csv:2", values), tmp_path / "t.csv")

    return call


def test_values_are_words_that_may_stand_in_keys(read, tmp_path):
    """The hyphen ends the speaker in an utterance's id."""
    row = read(ROW | {"gender": "Female", "votes": "ang;neu", "text": "Guten Tag", "session": "S 1", "split": "2"})
    assert (row.path, row.speaker, row.label, row.gender) == (tmp_path / "a 1.wav", "Anna_B", "very_angry", "f")
    assert (row.votes, row.text, row.session, row.split) == ("E1=ang E2=neu", "Guten Tag", "S_1", "2")
    assert (row.start, row.end, row.name, row.header.rate) == (None, None, "", 16000)


def test_decomposed_letters_are_the_composed_ones(read):
    """As macOS writes file names: one speaker, not two."""
    row = read(ROW | {"speaker": "Ju\N{COMBINING DIAERESIS}rgen", "emotion": "A\N{COMBINING DIAERESIS}rger"})
    assert (row.speaker, row.label) == ("Jürgen", "Ärger")


def test_columns_have_the_names_of_other_toolkits(read):
    """Those of EmoBox, whatever their case, and one that --columns names."""
    row = read({"WAV": "a 1.wav", "Key": "x", "Emo": "ang", "actor": "7"}, columns={"speaker": "Actor"})
    assert (row.name, row.label, row.speaker) == ("x", "ang", "7")


@pytest.mark.parametrize(
    ("times", "span"),
    [
        ({"start": "0", "end": ""}, (None, None)),
        ({"start": "0.5"}, (0.5, 2.0)),
        ({"end": "00:00:01.5"}, (0.0, 1.5)),
        ({"start": "0 days 00:00:01", "end": "NaT"}, (1.0, 2.0)),
        ({"start": "1", "end": "2.5"}, (1.0, 2.5)),
    ],
)
def test_times_are_seconds_within_the_file(read, times, span):
    """An end may overshoot by what make-fbank allows."""
    row = read(ROW | times)
    assert (row.start, row.end) == span


def test_a_speaker_may_be_in_the_files_name_or_unknown(read):
    unnamed = ROW | {"speaker": ""}
    assert read(unnamed, speaker_from=r"(\w) \d").speaker == "a" and read(unnamed, speaker_from=r"\d").speaker == "1"
    assert read(unnamed, unknown_speakers=True).speaker == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"file": ""}, "no file"),
        ({"emotion": "nan"}, "a 1.wav: no label"),
        ({"speaker": None}, "a 1.wav: no speaker"),
        ({"file": "x |"}, r"x \|: wav.scp would read this name as a pipe"),
        ({"start": "soon"}, "start 'soon' is not a time"),
        ({"start": "1", "end": "1"}, "a 1.wav: from 1 to 1 s is not a time span"),
        ({"end": "2.6"}, "a 1.wav: ends at 2.6 s, the file at 2.00 s"),
        ({"votes": "[ang"}, r"votes '\[ang' are not JSON"),
    ],
)
def test_what_does_not_fit_is_named(read, values, message):
    with pytest.raises(SertkError, match=message):
        read(ROW | values)
