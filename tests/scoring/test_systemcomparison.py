"""Systems on the same test set: the same folds, and what stands below the table."""

import pytest
from experiment import Experiment

from sertk.errors import SertkError
from sertk.scoring.posteriors import Scored
from sertk.scoring.systemcomparison import compare_systems


def test_a_system_compared_with_itself_is_not_different(tmp_path):
    made = Experiment(tmp_path)
    source = str(made.write())
    results = compare_systems(tmp_path / "folds" / "utt2label", [source, source])
    comparison = results["comparisons"][0]
    assert comparison["ua"]["value"] == 0 and comparison["ua"]["p"] == comparison["holm"]["ua"] == 1
    assert results["systems"][0] == results["systems"][1] and results["drawn"] == "utt2spk"
    assert any("one training run of a system" in note for note in results["notes"])


def test_time_is_linear_in_the_number_of_segments(tmp_path, monkeypatch):
    """The folds of all segments are gathered once for each use, not for each segment."""
    made, folds, calls = Experiment(tmp_path), Scored.folds.fget, []
    source = str(made.write())
    monkeypatch.setattr(Scored, "folds", property(lambda scored: calls.append(scored) or folds(scored)))
    results = compare_systems(tmp_path / "folds" / "utt2label", [source, source])
    assert 2 <= len(calls) <= 6 < results["segments"]


def test_systems_of_different_folds_are_refused(tmp_path):
    """Read from the manifests, where no utt2fold is beside the labels."""
    made, other = Experiment(tmp_path), Experiment(tmp_path / "other", "stratified")
    utt2label = tmp_path / "utt2label"
    utt2label.write_text((tmp_path / "folds" / "utt2label").read_text())
    (tmp_path / "labels.txt").write_text((tmp_path / "folds" / "labels.txt").read_text())
    sources = [str(made.write()), str(other.write())]
    with pytest.raises(SertkError, match="were scored with different folds"):
        compare_systems(utt2label, sources, i_know=True)
