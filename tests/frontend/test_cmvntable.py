"""Normalised tables: whose mean and variance a segment gets, and what is skipped."""

import numpy as np
import pytest

from sertk.errors import SertkError
from sertk.frontend.cmvntable import Groups, holds_vectors, normalised_alone, normalised_by_group, settings_of
from sertk.kaldi.tables import table_writer

SEGMENTS = {
    "a1": np.array([[0], [2]], np.float32),
    "a2": np.array([[4], [10]], np.float32),
    "b1": np.array([[1], [3], [5]], np.float32),
}


@pytest.fixture
def groups(here):
    with table_writer("ark,scp:f.ark,f.scp", settings={"cmvn": "none"}) as write:
        for key, feats in SEGMENTS.items():
            write(key, feats)
    (here / "utt2spk").write_text("a1 a\na2 a\nb1 b\n")
    (here / "names").write_text("a1\nb1 of no interest\n\ngone\n")
    return Groups(here / "utt2spk", here / "names")


def by_group(groups, norm_vars=True):
    skipped = {}
    table = normalised_by_group(
        "scp:f.scp", groups, norm_vars, False, lambda key, reason: skipped.update({key: reason})
    )
    return {key: feats[:, 0].tolist() for key, feats in table}, skipped


def test_a_group_has_the_moments_of_its_listed_segments(groups, caplog):
    """a1 has mean 1 and deviation 1, which a2 gets too; names that the table does not have are reported."""
    found, skipped = by_group(groups)
    assert found["a1"] == [-1, 1] and found["a2"] == [3, 9] and not skipped
    assert caplog.messages == [f"{groups.enrol}: 1 of 3 utterances are not in scp:f.scp: gone, …"]
    assert by_group(groups, norm_vars=False)[0]["a2"] == [3, 9]


def test_without_a_list_all_segments_count(groups):
    """0, 2, 4 and 10 have mean 4 and variance 14."""
    found, _ = by_group(Groups(groups.utt2group))
    assert found["a2"] == pytest.approx([0, 6 / 14**0.5], rel=1e-6)


def test_groups_and_segments_without_statistics_are_skipped(groups):
    groups.enrol.write_text("a1\n")
    groups.utt2group.write_text("a1 a\nb1 b\n")
    found, skipped = by_group(groups)
    assert list(found) == ["a1"]
    assert skipped == {"a2": f"not in {groups.utt2group}", "b1": f"none of the segments of b is in {groups.enrol}"}


def test_segments_alone_give_their_statistics(groups):
    removed = {}
    found = dict(normalised_alone("scp:f.scp", True, False, None, lambda key, vector: removed.update({key: vector})))
    assert found["a1"].tolist() == [[-1], [1]] and removed["a1"].tolist() == [1, 1]


def test_the_settings_name_the_lists(groups):
    of_group = {"cmvn": "group mean", "group": "utt2spk", "transductive": True}
    assert settings_of("scp:f.scp") == {"cmvn": "segment"}
    assert settings_of("scp:f.scp", False, Groups(groups.utt2group)) == of_group
    assert settings_of("scp:f.scp", False, groups) == of_group | {"enrolled": "names"}
    with table_writer("ark,scp:n.ark,n.scp", settings=of_group) as write:
        write("a1", SEGMENTS["a1"])
    with pytest.raises(SertkError, match="is normalised already"):
        settings_of("scp:n.scp")


def test_vectors_are_the_frames_of_their_group(here):
    """Without the variance, a number that is the same in the listed ones is no reason to forget it in the others."""
    vectors = {"a1": [0, 5], "a2": [2, 5], "b1": [7, 5], "a3": [7, 9]}
    with table_writer("ark,scp:f.ark,f.scp", kind="vector") as write:
        for key, vector in vectors.items():
            write(key, np.array(vector, np.float32))
    (here / "utt2spk").write_text("a1 a\na2 a\na3 a\nb1 b\n")
    (here / "names").write_text("a1\na2\nb1\n")
    found, skipped = {}, {}
    table = normalised_by_group("scp:f.scp", Groups(here / "utt2spk", here / "names"), True, False, skipped.__setitem__)
    found = {key: vector.tolist() for key, vector in table}
    assert found == {"a1": [-1, 0], "a2": [1, 0], "a3": [6, 0]}
    assert skipped == {"b1": "b has one vector only"}
    means = normalised_by_group(
        "scp:f.scp", Groups(here / "utt2spk", here / "names"), False, False, skipped.__setitem__
    )
    assert {key: vector.tolist() for key, vector in means} == {"a1": [-1, 0], "a2": [1, 0], "a3": [6, 4]}
    assert holds_vectors("scp:f.scp") and not holds_vectors("ark:cat f.ark |")
