"""compare.py: our results beside those of others."""

import json

COMPARE = "emodb/local/compare.py"


def put(folder, wa, ua, stamps=()):
    folder.mkdir()
    ends = {"clusters": 10, "units": 5, "ua": [ua - 0.1, ua + 0.1], "wa": [wa - 0.1, wa + 0.1]}
    found = {"mean": {"wa": wa, "ua": ua}, "stamps": list(stamps), "runs": {"number": 1}}
    found |= {"unit": "utt2spk", "intervals": {"utt2spk": ends}}
    (folder / "results.json").write_text(json.dumps(found))


def test_ours_stand_in_order_among_the_others_with_their_stamps(prepare, tmp_path):
    put(tmp_path / "a", 0.8049, 0.8)
    put(tmp_path / "b", 0.5, 0.45, ["PARTIAL"])
    result = prepare(COMPARE, f"fine-tuned={tmp_path}/a", f"from scratch={tmp_path}/b")
    claim = "one training run, 95 % of the pooled UA 70.0-90.0 WA 70.5-90.5 by 10 speakers in 5 folds"
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


def test_results_that_are_missing_or_broken_are_named(prepare, tmp_path):
    result = prepare(COMPARE, f"x={tmp_path}", code=1)
    assert f"compare: ERROR: {tmp_path}/results.json: is missing (an earlier stage makes it)\n" in result.err
    (tmp_path / "results.json").write_text("{}")
    assert "not what score-loso --json writes" in prepare(COMPARE, f"x={tmp_path}", code=1).err
    assert "'x' is not NAME=DIR" in prepare(COMPARE, "x", code=2).err
