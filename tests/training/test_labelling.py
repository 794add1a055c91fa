"""What is trained on: labels, and folds that are held out."""

import pytest

from sertk.datadir.lists import write_list
from sertk.errors import SertkError
from sertk.jobs.labels import read_labelling
from sertk.training.labelling import Labelling


@pytest.fixture
def lists(tmp_path):
    """A folder with utt2label and utt2fold of four segments."""
    write_list(tmp_path / "utt2label", {"p": "ang", "q": "neu", "r": "ang", "s": "neu"})
    write_list(tmp_path / "utt2fold", {"p": "1", "q": "1", "r": "2", "s": "2"})
    return tmp_path


def test_labels_are_in_the_order_of_labels_txt_or_sorted(lists):
    assert read_labelling(lists / "utt2label").labels == ["ang", "neu"]
    (lists / "labels.txt").write_text("neu\nsad\nang\n")
    assert read_labelling(lists / "utt2label").labels == ["neu", "sad", "ang"]


def test_a_label_that_labels_txt_has_twice_is_refused(lists):
    (lists / "labels.txt").write_text("neu\nang\nneu\n")
    with pytest.raises(SertkError, match=r"labels\.txt:3: label neu comes twice"):
        read_labelling(lists / "utt2label")


@pytest.mark.parametrize("fold", ["../esc", "a/b", "/a", ".", ".."])
def test_a_fold_whose_folder_would_be_elsewhere_is_refused(lists, fold):
    write_list(lists / "utt2fold", {"p": "1", "q": "1", "r": fold, "s": "1"})
    with pytest.raises(SertkError, match=f"utt2fold: r: fold '{fold}' cannot be the name of a folder"):
        read_labelling(lists / "utt2label", lists / "utt2fold")


def test_folds_have_other_names_than_numbers_too(lists):
    write_list(lists / "utt2fold", {"p": "Ses01", "q": "..a", "r": "1", "s": "a.b"})
    assert read_labelling(lists / "utt2label", lists / "utt2fold").folds() == ["1", "..a", "Ses01", "a.b"]


def test_who_is_left_with_nothing_is_told_all_folds_that_are_held_out(lists):
    labelling = Labelling(["ang", "neu"], {"p": "ang", "q": "neu"}, {"p": "1", "q": "2"})
    with pytest.raises(SertkError, match="with the folds 1 and 2 held out nothing is left to train on"):
        labelling.training("1", development="2")
    alone = Labelling(["ang", "neu"], {"p": "ang", "q": "neu"}, {"p": "1", "q": "1"})
    for choosing in (None, "1"):
        with pytest.raises(SertkError, match="with fold 1 held out nothing is left to train on"):
            alone.training("1", choosing)
