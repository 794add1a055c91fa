"""compare.py: our results beside those of others."""

import pytest
from scoredsystems import RIGHT, write_scores, write_system, write_test

COMPARE = "emodb/local/compare.py"


@pytest.fixture
def folds(tmp_path):
    write_test(tmp_path / "folds")
    return tmp_path / "folds"


def test_ours_stand_in_order_among_the_others_with_their_stamps(prepare, tmp_path, folds):
    write_system(tmp_path / "a", wa=0.8049, ua=0.8)
    write_system(tmp_path / "b", wa=0.5, ua=0.45, stamps=["PARTIAL"])
    result = prepare(COMPARE, folds, f"fine-tuned={tmp_path}/a", f"from scratch={tmp_path}/b")
    claim = "one training run, 95 % of the pooled UA 70.0-90.0 WA 70.5-90.5 by 8 speakers in 4 folds (rough: fewer than 5 units)"
    assert result.text.splitlines()[2].endswith(claim)
    lines = [line.partition("  one training")[0].rsplit(None, 2) for line in result.text.splitlines()]
    assert [name.strip() for name, _, _ in lines[1:]] == [
        "openSMILE ComParE 2016 functionals, linear SVM",
        "sertk: fine-tuned",
        "openSMILE eGeMAPS functionals, linear SVM",
        "floor: logistic regression on mean and deviation of log-mels",
        "sertk: from scratch PARTIAL",
        "always anger",
    ]
    assert lines[2][1:] == ["80.5", "80.0"]
    assert lines[3][1:] == ["79.0", "78.2"]


def test_results_that_are_missing_or_broken_are_named(prepare, tmp_path, folds):
    system = tmp_path / "a"
    write_system(system)
    for text in (
        "{}",
        "[]",
        "{",
        '{"mean": 1, "stamps": []}',
        '{"labels": ["a", "b"], "confusion": 1, "mean": {}, "stamps": []}',
    ):
        (system / "results.json").write_text(text)
        err = prepare(COMPARE, folds, f"x={system}", code=1).err
        assert f"compare: ERROR: {system}/results.json: not " in err and len(err.splitlines()) == 1
    (system / "results.json").unlink()
    result = prepare(COMPARE, folds, f"x={system}", code=1)
    assert f"compare: ERROR: {system}/results.json: is missing (an earlier stage makes it)\n" in result.err
    assert "'x' is not NAME=DIR" in prepare(COMPARE, folds, "x", code=2).err


def test_results_of_earlier_scores_or_folds_are_refused(prepare, tmp_path, folds):
    write_system(tmp_path / "a")
    systems = f"x={tmp_path}/a"
    write_scores(tmp_path / "a", 1 - RIGHT)
    err = prepare(COMPARE, folds, systems, code=1).err
    assert f"{tmp_path}/a/results.json: does not match the current scores and folds: run score-loso again" in err
    write_scores(tmp_path / "a")
    for name in ("utt2label", "utt2fold"):
        lines = (folds / name).read_text().splitlines(keepends=True)
        (folds / name).write_text("".join(lines[:-1]))
    assert "s7-b is scored but not in the test set" in prepare(COMPARE, folds, systems, code=1).err
