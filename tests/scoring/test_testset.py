"""Test sets: labels, folds and maps that must fit together, and the clusters of intervals."""

import pytest

from sertk.datadir.lists import write_list
from sertk.errors import SertkError
from sertk.scoring.testset import known_clusters, read_test, ungrouped

UTT2LABEL = {"u1": "ang", "u2": "neu", "u3": "ang"}


@pytest.fixture
def folds(tmp_path):
    write_list(tmp_path / "utt2label", UTT2LABEL)
    write_list(tmp_path / "utt2fold", dict.fromkeys(UTT2LABEL, "1") | {"u3": "2"})
    write_list(tmp_path / "utt2spk", {"u1": "a", "u2": "a", "u3": "b"})
    write_list(tmp_path / "utt2session", dict.fromkeys(UTT2LABEL, "1"))
    (tmp_path / "labels.txt").write_text("neu\nang\n")
    return tmp_path


def test_truth_follows_labels_txt_and_maps_stand_beside(folds):
    test = read_test(folds / "utt2label", folds / "utt2fold", None)
    assert test.keys == ["u1", "u2", "u3"] and list(test.labels) == ["neu", "ang"] and test.truth.tolist() == [1, 0, 1]
    assert test.utt2fold == {"u1": 1, "u2": 1, "u3": 2}


def test_clusters_are_maps_with_two_values_or_more(folds):
    clusters = known_clusters(read_test(folds / "utt2label", folds / "utt2fold", None))
    assert clusters == {"utt2spk": ["a", "a", "b"]} and not ungrouped(clusters)
    assert ungrouped({}) and ungrouped({"utt2dialog": ["d", "d", "e"]})


def test_maps_of_different_segments_are_refused(folds):
    write_list(folds / "utt2fold", {"u1": "1", "u2": "2"})
    with pytest.raises(SertkError, match=r"utt2fold: u3 is missing \(1 of .*utt2label's segments are\)"):
        read_test(folds / "utt2label", folds / "utt2fold", None)
