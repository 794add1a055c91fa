"""What a model card records of the training, for the leak guard."""

import pytest

import sertk.runs.card as cards
from sertk.runs.card import training_record

CHOSEN = {"a1": "ang", "a2": "sad", "b1": "ang"}


SPEAKERS = {"a1": "anna", "a2": "anna", "b1": "bert", "c1": "cleo"}


HOW = {"select": "last", "chosen_epoch": 3}


def test_record_of_an_emotion_model_has_its_speakers():
    record = training_record(CHOSEN, SPEAKERS, "1", HOW)
    assert record["keys"] == ["a1", "a2", "b1"] and record["speakers"] == ["anna", "bert"]
    assert record["labels"] == {"ang": 2, "sad": 1} and record["target"] == "label"


@pytest.mark.parametrize(("labels", "target"), [(CHOSEN, "label"), (SPEAKERS, "speaker")])
def test_record_of_a_large_set_has_speakers_and_no_segments(monkeypatch, labels, target):
    monkeypatch.setattr(cards, "MAX_KEYS", 2)
    record = training_record(labels, SPEAKERS, None, HOW)
    assert "keys" not in record and record["segments"] == len(labels) and record["target"] == target
    assert record["speakers"] == sorted({SPEAKERS[key] for key in labels}) and ("labels" in record) == (
        target == "label"
    )
    assert "speakers" not in training_record(labels, {}, None, HOW)


def test_partly_known_speakers_are_not_recorded(caplog):
    assert "speakers" not in training_record(CHOSEN, {"a1": "anna"}, None, HOW)
    assert "2 training segments are not in utt2spk (a2)" in caplog.text


def test_speakers_of_the_development_fold_are_recorded():
    how = {"select": "dev-session", "chosen_on": {"fold": "2", "keys": ["c1"]}}
    assert training_record(CHOSEN, SPEAKERS, "1", how)["chosen_on"]["speakers"] == ["cleo"]
    assert "speakers" not in how["chosen_on"]
