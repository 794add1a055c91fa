"""Improvised and scripted dialogs, and the words that sessions share."""

import pytest

from sertk.errors import SertkError
from sertk.scoring.parts import of_part, script_overlap, scripts_of


def test_parts_are_told_by_the_dialogs_name():
    utt2dialog = {"u1": "Ses01F_impro01", "u2": "Ses01F_script02_1"}
    assert of_part(["u1", "u2"], utt2dialog, "improvised") == ["u1"]
    assert of_part(["u1", "u2"], utt2dialog, "scripted") == ["u2"]
    with pytest.raises(SertkError, match="u3: no dialog"):
        of_part(["u3"], utt2dialog, "scripted")
    with pytest.raises(SertkError, match="dialog 'telephone' is neither"):
        of_part(["u1"], {"u1": "telephone"}, "scripted")


def test_a_script_is_shared_when_another_fold_has_a_take_of_it():
    utt2dialog = {
        "a": "Ses01F_script01_1",
        "b": "Ses02M_script01_1b",
        "c": "Ses02M_script01_2",
        "d": "Ses02F_script01_2",
        "e": "Ses01F_impro04",
    }
    utt2fold = {"a": 1, "b": 2, "c": 2, "d": 2, "e": 1}
    assert script_overlap(utt2fold, scripts_of(utt2dialog)) == {
        "1": {"scripted": 1, "shared": 1},
        "2": {"scripted": 3, "shared": 1},
    }


def test_without_dialogs_nothing_is_scripted():
    assert script_overlap({"a": 1, "b": 2}, {}) == {fold: {"scripted": 0, "shared": 0} for fold in "12"}
