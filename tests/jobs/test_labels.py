"""Reading labels, folds, speakers and rater votes."""

import json

import numpy as np
import pytest

from sertk.datadir.lists import write_list
from sertk.errors import SertkError
from sertk.jobs.labels import read_labelling, read_targets
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


def test_labels_without_a_segment_are_named(lists, caplog):
    (lists / "labels.txt").write_text("neu\nsad\nang\nhap\n")
    read_labelling(lists / "utt2label")
    assert caplog.messages == [f"{lists}/labels.txt: no segment of {lists}/utt2label is labelled sad, hap"]


def test_label_twice_in_labels_txt_is_refused(lists):
    (lists / "labels.txt").write_text("neu\nang\nneu\n")
    with pytest.raises(SertkError, match=r"labels\.txt:3: label neu comes twice"):
        read_labelling(lists / "utt2label")


@pytest.mark.parametrize("fold", ["../esc", "a/b", "/a", ".", ".."])
def test_fold_that_names_another_folder_is_refused(lists, fold):
    write_list(lists / "utt2fold", {"p": "1", "q": "1", "r": fold, "s": "1"})
    with pytest.raises(SertkError, match=f"utt2fold: r: fold '{fold}' cannot be the name of a folder"):
        read_labelling(lists / "utt2label", lists / "utt2fold")


def test_folds_can_have_names(lists):
    write_list(lists / "utt2fold", {"p": "Ses01", "q": "..a", "r": "1", "s": "a.b"})
    assert read_labelling(lists / "utt2label", lists / "utt2fold").folds() == ["1", "..a", "Ses01", "a.b"]


CHOSEN = {"a1": "ang", "a2": "sad", "b1": "ang"}


SPEAKERS = {"a1": "anna", "a2": "anna", "b1": "bert", "c1": "cleo"}


def test_speakers_are_read_beside_the_labels_or_the_folds(tmp_path):
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


@pytest.fixture
def voted(tmp_path):
    """Four segments with votes, and a label map that makes one class of exc and hap."""
    (tmp_path / "scheme.json").write_text(
        json.dumps({"scheme": "loso", "label_map": {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu"}})
    )
    (tmp_path / "utt2votes").write_text(
        "a E1=exc E2=hap E3=fru,ang F1=neu\nb E1=fru E2= E3=sad\nc E1=neu E2=neu E3=neu\n"
    )
    return tmp_path


def test_votes_become_shares_by_the_label_map(voted, caplog):
    labelling = Labelling(["ang", "hap", "neu"], {"a": "hap", "b": "ang", "c": "neu", "d": "neu"}, {})
    caplog.set_level("INFO", "sertk")
    found = read_targets(list("abcd"), labelling, voted / "utt2label", voted / "utt2votes")
    # a: exc and hap are 2 votes for hap, half of the third is for ang, the rest for none of these classes; the speaker's
    # own is no vote. b: nobody chose a class. d: nobody rated it.
    wanted = [[0.2, 0.8, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(found.shares, wanted, atol=1e-7)
    assert found.labels.tolist() == [1, 0, 2, 2]
    assert "2 of 4 segments have no vote for ang hap neu and keep their label" in caplog.text
