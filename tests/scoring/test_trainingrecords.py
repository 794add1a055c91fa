"""Training records of networks that were initialised from others."""

import pytest

from sertk.errors import SertkError
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard
from sertk.scoring.trainingrecords import chain, speakers_in, training_record


def test_every_network_of_a_chain_is_looked_at():
    both = {"keys": ["u3"], "trunk": {"keys": ["u4"], "init": {"keys": ["u2"]}}, "init": {"keys": ["u1"]}}
    assert [record["keys"] for record in chain(both)] == [["u3"], ["u4"], ["u2"], ["u1"]]
    for key in ("u1", "u2", "u3", "u4"):
        with pytest.raises(SertkError, match=key):
            Guard().check("x", {"trained_on": both}, [key], Corpus(["u1", "u2", "u3", "u4"]))


def test_speakers_of_model_selection_count_but_not_the_oracles():
    record = {"speakers": ["a"], "keys": ["u1"], "chosen_on": {"keys": ["u2"], "speakers": ["b"]}}
    assert speakers_in(record) == {"a", "b"}
    assert speakers_in(record | {"select": "oracle"}) == {"a"}
    assert speakers_in(record | {"chosen_on": {"keys": ["u2"]}}) is None
    assert speakers_in({"keys": ["u1"]}) is None


def test_training_records_say_what_is_declared():
    speaker_of = {"a-1": "a", "b-2": "b"}
    assert training_record("1", None, None, None, speaker_of) is None
    record = training_record("1", ["b-2"], None, "by hand", speaker_of)
    assert record == {
        "fold": "1",
        "target": "label",
        "declared": "by hand",
        "keys": ["b-2"],
        "segments": 1,
        "speakers": ["b"],
    }
    assert "speakers" not in training_record("1", ["elsewhere"], None, None, speaker_of)
    assert training_record(None, None, ["z", "y"], None, {})["speakers"] == ["y", "z"]
