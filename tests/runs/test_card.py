"""What a card says of the training, for the leak guard."""

import pytest

import sertk.runs.card as cards
from sertk.datadir.lists import write_list
from sertk.jobs.labels import read_labelling
from sertk.runs.card import training_record

CHOSEN = {"a1": "ang", "a2": "sad", "b1": "ang"}
SPEAKERS = {"a1": "anna", "a2": "anna", "b1": "bert", "c1": "cleo"}
HOW = {"select": "last", "chosen_epoch": 3}


def test_an_emotion_models_record_has_its_real_speakers():
    record = training_record(CHOSEN, SPEAKERS, "1", HOW)
    assert record["keys"] == ["a1", "a2", "b1"] and record["speakers"] == ["anna", "bert"]
    assert record["labels"] == {"ang": 2, "sad": 1} and record["target"] == "label"


@pytest.mark.parametrize(("labels", "target"), [(CHOSEN, "label"), (SPEAKERS, "speaker")])
def test_of_a_large_set_the_speakers_are_recorded_and_not_its_labels(monkeypatch, labels, target):
    monkeypatch.setattr(cards, "MAX_KEYS", 2)
    record = training_record(labels, SPEAKERS, None, HOW)
    assert "keys" not in record and record["segments"] == len(labels) and record["target"] == target
    assert record["speakers"] == sorted({SPEAKERS[key] for key in labels}) and ("labels" in record) == (
        target == "label"
    )
    assert "speakers" not in training_record(labels, {}, None, HOW)


def test_speakers_of_a_part_only_are_not_recorded(caplog):
    assert "speakers" not in training_record(CHOSEN, {"a1": "anna"}, None, HOW)
    assert "2 training segments are not in utt2spk (a2)" in caplog.text


def test_speakers_of_what_chose_the_epoch_are_recorded_too():
    how = {"select": "dev-session", "chosen_on": {"fold": "2", "keys": ["c1"]}}
    assert training_record(CHOSEN, SPEAKERS, "1", how)["chosen_on"]["speakers"] == ["cleo"]
    assert "speakers" not in how["chosen_on"]


def test_speakers_are_found_beside_the_labels_or_the_folds(tmp_path):
    data, folds = tmp_path / "data", tmp_path / "folds"
    for folder in (data, folds):
        folder.mkdir()
    write_list(data / "utt2label", CHOSEN)
    write_list(folds / "utt2fold", dict.fromkeys(CHOSEN, "1") | {"b1": "2"})
    lists = data / "utt2label", folds / "utt2fold"
    assert read_labelling(*lists).speaker_of == {}
    write_list(folds / "utt2spk", SPEAKERS)
    assert read_labelling(*lists).speaker_of == SPEAKERS and read_labelling(lists[0]).speaker_of == {}
    # Kaldi's way of saying that nobody knows who speaks.
    write_list(data / "utt2spk", {key: key for key in CHOSEN})
    assert read_labelling(*lists).speaker_of == SPEAKERS
    write_list(data / "utt2spk", {key: key[0] for key in CHOSEN})
    assert read_labelling(*lists).speaker_of == {"a1": "a", "a2": "a", "b1": "b"}
    # Labels that are the speakers.
    assert read_labelling(data / "utt2spk").speaker_of == {"a1": "a", "a2": "a", "b1": "b"}
