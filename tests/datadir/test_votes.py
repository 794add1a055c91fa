"""The raters' votes."""

import numpy as np
import pytest

from sertk.datadir.votes import agreeing, read_votes, vote_shares
from sertk.errors import SertkError


def test_evaluators_vote_and_speakers_do_not(tmp_path):
    (tmp_path / "utt2votes").write_text("a E1=neu E2=fru,oth E4= F1=ang\nb M1=sad\n")
    assert read_votes(tmp_path / "utt2votes") == {"a": [("neu",), ("fru", "oth"), ()], "b": []}


def test_vote_is_shared_by_the_chosen_labels():
    # ang 1 + 1/2, neu 1/2 (of "neu, fru": fru has no class), so 3/4 and 1/4.
    found = vote_shares([("ang",), ("ang", "fru"), ("neu", "fru")], ["ang", "neu", "sad"])
    assert found.tolist() == [0.75, 0.25, 0]
    assert vote_shares([("fru",), ()], ["ang", "neu"]) is None


def test_merged_labels_get_both_labels_votes():
    merged = {"hap": "hap", "exc": "hap", "neu": "neu"}
    found = vote_shares([("hap",), ("exc",), ("neu",)], ["hap", "neu"], merged)
    np.testing.assert_allclose(found, [2 / 3, 1 / 3])
    assert agreeing([("hap",), ("exc",), ("exc", "hap")], merged) == (3, 3)


def test_abstentions_count_as_raters_who_do_not_agree():
    assert agreeing([("ang",), ("ang",), ()]) == (2, 3)
    assert agreeing([(), ()]) == (0, 2)
    assert agreeing([]) == (0, 0)


def test_a_word_that_is_no_vote_is_named(tmp_path):
    (tmp_path / "utt2votes").write_text("a E1=neu\nb E1=neu neu\n")
    with pytest.raises(SertkError, match="utt2votes: b: 'neu' is not RATER=LABEL"):
        read_votes(tmp_path / "utt2votes")


@pytest.mark.parametrize("label_map", [["ang", "neu"], [], "ang", "", 3, {"ang": {"ang": "ang"}}, {"ang": None}])
def test_a_label_map_that_is_none_is_refused(label_map):
    for use in (lambda: vote_shares([("ang",)], ["ang", "neu"], label_map), lambda: agreeing([("ang",)], label_map)):
        with pytest.raises(SertkError, match=r"scheme\.json .*'label_map' must map labels to labels, it is"):
            use()
