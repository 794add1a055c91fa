import pytest


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    (folder / "wav.scp").write_text("a-1 1\na-2 2\nb-1 3\n")
    (folder / "utt2session").write_text("a-1 1\na-2 1\nb-1 2\n")
    return folder


def test_a_folder_is_split_by_speakers(call, data):
    call("split-data", data, 2)
    assert (data / "split2/1/utt2session").read_text() == "a-1 1\na-2 1\n"
    assert (data / "split2/2/spk2utt").read_text() == "b b-1\n"
    for part in "12":
        call("validate-data", data / "split2" / part)


def test_a_folder_is_split_by_utterances_when_asked(call, data):
    call("split-data", "--per_utt=true", data, 3)
    assert [(data / f"split3utt/{part}/wav.scp").read_text() for part in "123"] == ["a-1 1\n", "a-2 2\n", "b-1 3\n"]


@pytest.mark.parametrize("args, code", [(["data", "3"], 1), (["data", "0"], 2), (["data"], 2), (["gone", "1"], 1),
                                        (["--per-utt=maybe", "data", "1"], 2), (["data", "two"], 2)])  # fmt: skip
def test_wrong_calls_end_in_one_line(call, data, args, code):
    result = call("split-data", *args, code=code)
    assert result.err.startswith("split-data: ERROR: ") and result.err.count("\n") == 1
    assert not any(path.is_dir() for path in data.iterdir())
