"""What a data folder knows of its segments."""

import pytest

from sertk.errors import SertkError
from sertk.scoring.groups import known_groups

MAPS = {
    "utt2spk": "a s1\nb s2\nc s2\n",
    "spk2gender": "s1 f\ns2 m\n",
    "utt2dialog": "a Ses01F_impro01\nb Ses01F_script01_1\nc Ses01F_script01_1\n",
    "utt2num_frames": "a 100\nb 200\nc 300\n",
    "utt2votes": "a E1=exc E2=hap E3=hap\nb E1=ang E2=neu F1=neu\n",
}


def put(folder, **maps):
    for name, text in maps.items():
        (folder / name).write_text(text)
    return folder


def test_every_map_is_a_group(tmp_path):
    put(tmp_path, **MAPS)
    assert known_groups(tmp_path, ["a", "b", "c"], {"hap": "hap", "exc": "hap"}) == {
        "gender": ["female", "male", "male"],
        "dialogs": ["improvised", "scripted", "scripted"],
        "raters who agree": ["3 of 3", "1 of 2", "no votes"],
        "frames": ["100", "200", "300"],
        "speaker": ["s1", "s2", "s2"],
    }
    assert known_groups(tmp_path, ["a"]) == {}


def test_a_segments_own_gender_goes_before_its_speakers(tmp_path):
    put(tmp_path, **MAPS, utt2gender="a m\nb f\nc other\n")
    assert known_groups(tmp_path, ["a", "b", "c"])["gender"] == ["male", "female", "other"]


def test_ages_and_races_are_those_of_the_speakers(tmp_path):
    put(tmp_path, utt2spk="a s1\nb s2\nc s3\nd s4\n", spk2age="s1 20\ns2 31\ns3 45\ns4 60\n", spk2race="s1 X\ns2 Y\ns3 X\ns4 Y\n",
        utt2ethnicity="a A\nb B\nc B\nd B\n")  # fmt: skip
    assert known_groups(tmp_path, ["a", "b", "c", "d"]) == {
        "age": ["20-31", "20-31", "45", "60"],
        "race": ["X", "Y", "X", "Y"],
        "ethnicity": ["A", "B", "B", "B"],
        "speaker": ["s1", "s2", "s3", "s4"],
    }
    put(tmp_path, spk2age="s1 twenties\ns2 thirties\ns3 thirties\ns4 thirties\n")
    assert known_groups(tmp_path, ["a", "b", "c", "d"])["age"] == ["twenties", "thirties", "thirties", "thirties"]


def test_dialogs_of_other_corpora_have_no_part(tmp_path):
    put(tmp_path, utt2dialog="a telephone1\nb telephone2\n")
    assert known_groups(tmp_path, ["a", "b"]) == {}


def test_a_key_that_a_map_lacks_is_named(tmp_path):
    put(tmp_path, utt2spk="a s1\n")
    with pytest.raises(SertkError, match="utt2spk: segment b of the test set is missing"):
        known_groups(tmp_path, ["a", "b"])
