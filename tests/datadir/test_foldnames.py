"""Names of folds: order, choice, and FOLD in paths."""

import pytest

from sertk.datadir.foldnames import check_place, chosen_folds, in_order, of_fold, several
from sertk.errors import SertkError


def test_numbers_come_first_in_their_order():
    assert in_order(["10", "b", "9", "a", "9", "²"]) == ["9", "10", "a", "b", "²"]


def test_folds_are_one_or_several_or_all():
    present = {"1", "2", "10"}
    assert chosen_folds("2", present, "") == ["2"] and not several("2")
    assert chosen_folds("10,2", present, "") == ["10", "2"] and several("10,2")
    assert chosen_folds("all", present, "") == ["1", "2", "10"] and several("all")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("3", "utt2fold: no segment is in fold 3"),
        ("1,", "utt2fold: no segment is in fold "),
        ("1,2,1", "1 is named twice"),
    ],
)
def test_folds_that_are_not_there_are_refused(wanted, message):
    with pytest.raises(SertkError, match=message):
        chosen_folds(wanted, ["1", "2"], "utt2fold")


def test_fold_stands_for_each_fold_as_a_word():
    assert of_fold("exp_FOLD/x.FOLD.ark,FOLDS/MYFOLD/FOLD", "2") == "exp_2/x.2.ark,FOLDS/MYFOLD/2"
    assert of_fold("FOLD", r"\1") == r"\1"


def test_outputs_of_several_folds_need_a_place():
    check_place("ark:scores.ark", "1")
    check_place("ark:FOLD/scores.ark", "all")
    with pytest.raises(SertkError, match="needs FOLD in its name"):
        check_place("ark:FOLDS.ark", "all")
