import pytest


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    (folder / "wav.scp").write_text("a-1 1\na-2 2\nb-1 3\n")
    (folder / "utt2dialog").write_text("a-1 1\na-2 1\nb-1 2\n")
    (tmp_path / "utts").write_text("b-1 anything\na-2\n")
    (tmp_path / "spks").write_text("a\n")
    return folder


@pytest.mark.parametrize(
    "option, expected",
    [(["--utt-list", "utts"], ["a-2", "b-1"]), (["--spk-list", "spks"], ["a-1", "a-2"]), (["--first", "1"], ["a-1"]),
     (["--per-spk", "1"], ["a-1", "b-1"])],
)  # fmt: skip
def test_a_subset_is_a_valid_folder(call, data, option, expected):
    call("subset-data", *option, data, "out")
    call("validate-data", "out")
    assert [line.split()[0] for line in (data.parent / "out/utt2dialog").read_text().splitlines()] == expected


@pytest.mark.parametrize(
    "args, code",
    [(["data", "out"], 2), (["--first", "1", "--per-spk", "1", "data", "out"], 2), (["--first", "0", "data", "out"], 2),
     (["--utt-list", "gone", "data", "out"], 1), (["--utt-list", "spks", "data", "out"], 1), (["--first", "1", "gone", "out"], 1),
     (["--first", "1", "data", "data"], 1)],
)  # fmt: skip
def test_wrong_calls_end_in_one_line(call, data, args, code):
    result = call("subset-data", *args, code=code)
    assert result.err.startswith("subset-data: ERROR: ") and result.err.count("\n") == 1
    assert not (data.parent / "out").exists()
