"""transfer-head: invalid calls."""


def test_shared_folders_and_repeated_folds_are_misuse(tmp_path, head_words, call):
    line = head_words("exp", sets=["exp1"])
    twice = [*line[-3:-1], tmp_path / "exp/../exp/exp1"]
    assert "each label set has a DIR of its own" in call(*line, *twice, code=2).err
    for folds in ("", "1,1", "1,,2"):
        assert "each once" in call(*head_words("exp", "--folds", folds), code=2).err
