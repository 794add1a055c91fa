import pytest


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        (folder / "utt2spk").write_text(f"{name}-1 {name}\n")
        (folder / "wav.scp").write_text(f"{name}-1 1\n")
    (tmp_path / "a/utt2label").write_text("a-1 neu\n")
    return tmp_path


def test_folders_are_put_together_and_what_is_left_out_is_said(call, parts):
    result = call("combine-data", "out", "b", "a")
    assert "WARNING: utt2label: left out" in result.err
    assert (parts / "out/utt2spk").read_text() == "a-1 a\nb-1 b\n"
    call("validate-data", "out")


@pytest.mark.parametrize(
    "args, code",
    [
        (["a"], 2),
        (["out", "a", "a"], 1),
        (["out", "a", "gone"], 1),
        (["a", "b", "a"], 1),
        (["a", "b", "out"], 2),
    ],
)
def test_wrong_calls_end_in_one_line(call, parts, args, code):
    result = call("combine-data", *args, code=code)
    assert result.err.startswith("combine-data: ERROR: ") and result.err.count("\n") == 1
    assert not (parts / "out").exists()
