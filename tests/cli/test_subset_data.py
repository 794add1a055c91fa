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
    "words, expected",
    [("--utt-list utts data", "a-2 b-1"), ("--spk-list spks data", "a-1 a-2"), ("--first data 1", "a-1"),
     ("--per-spk data 1", "a-1 b-1"), ("--last data 2", "a-2 b-1"), ("data 2", "a-1 b-1"), ("--speakers data 2", "a-1 a-2")],
)  # fmt: skip
def test_a_subset_is_a_valid_folder(call, data, words, expected):
    call("subset-data", *words.split(), "out")
    call("validate-data", "out")
    assert [line.split()[0] for line in (data.parent / "out/utt2dialog").read_text().splitlines()] == expected.split()


ORDER = "the order is subset-data [--first|--last|--shortest|--per-spk|--speakers] DATA-DIR N OUT-DIR"


@pytest.mark.parametrize(
    "words, code, says",
    [("data out", 2, ORDER), ("--first --per-spk data 1 out", 2, "--first and --per-spk do not go together"),
     ("--first 1 data out", 2, f"N is 'data': {ORDER}"), ("--per-spk 1 data out", 2, ORDER),
     ("--first=1 data out", 2, "the order is subset-data [OPTIONS] DATA-DIR [N] OUT-DIR"),
     ("--first data 0 out", 2, "N is '0'"), ("--first data 4 out", 1, "has 3 utterances, expected at least 4"),
     ("--utt-list utts data 1 out", 2, "the order is subset-data --utt-list FILE DATA-DIR OUT-DIR"),
     ("--utt-list gone data out", 1, "gone"), ("--utt-list spks data out", 1, "data has none of its 1 utterances"),
     ("--first gone 1 out", 1, "gone"), ("--first data 1 data", 1, "cannot be read and written at once"),
     ("--shortest data 1 out", 1, "neither utt2num_frames nor feats.scp")],
)  # fmt: skip
def test_wrong_calls_end_in_one_line(call, data, words, code, says):
    """The order that the binary once had among them."""
    result = call("subset-data", *words.split(), code=code)
    assert result.err.startswith("subset-data: ERROR: ") and result.err.count("\n") == 1
    assert says.lower() in result.err.lower() and not (data.parent / "out").exists()
