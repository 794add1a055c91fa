"""The data folder binaries as a user calls them."""

import pytest


def make(folder, utterances=("a-1", "a-2", "b-1", "b-2"), label="neu"):
    folder.mkdir()
    spk = {utterance: utterance[0] for utterance in utterances}
    (folder / "wav.scp").write_text("".join(f"{utterance} {utterance}.wav\n" for utterance in utterances))
    (folder / "utt2spk").write_text("".join(f"{utterance} {spk[utterance]}\n" for utterance in utterances))
    (folder / "utt2label").write_text("".join(f"{utterance} {label}\n" for utterance in utterances))
    inverse = {speaker: " ".join(u for u in utterances if spk[u] == speaker) for speaker in spk.values()}
    (folder / "spk2utt").write_text("".join(f"{speaker} {found}\n" for speaker, found in inverse.items()))
    return folder


def test_a_valid_folder_passes_and_stdout_stays_empty(call, tmp_path):
    result = call("validate-data", make(tmp_path / "data"))
    assert result.out == b"" and "valid" in result.err


def test_problems_are_listed_up_to_the_limit_and_fail(call, tmp_path):
    folder = make(tmp_path / "data")
    (folder / "utt2label").write_text("x neu\n")
    result = call("validate-data", folder, code=1)
    assert len(result.text.splitlines()) == 5 and f"validate-data: ERROR: {folder}: 5 problems\n" in result.err
    result = call("validate-data", "--limit", "2", folder, code=1)
    assert len(result.text.splitlines()) == 2 and "5 problems, 2 of them listed" in result.err


def test_verification_is_asked_for(call, tmp_path):
    folder = make(tmp_path / "data")
    assert "a-1.wav does not exist" in call("validate-data", "--verify", "true", folder, code=1).text


def test_channel_column_is_valid_with_a_warning(call, tmp_path):
    """Kaldi's validate_data_dir.sh refuses it; split, subset, combine and fix keep it, and make-fbank reads it."""
    folder = make(tmp_path / "data")
    (folder / "wav.scp").write_text("r r.wav\n")
    segments = {"a-1": "r 0 1 A", "a-2": "r 1 2 1", "b-1": "r 2 3", "b-2": "r 3 4 -1"}
    (folder / "segments").write_text("".join(f"{key} {line}\n" for key, line in segments.items()))
    result = call("validate-data", folder)
    assert "WARNING: " in result.err and "3 of 4 lines have a channel column" in result.err and "valid" in result.err
    call("split-data", folder, 2)
    assert (folder / "split2/1/segments").read_text() == "a-1 r 0 1 A\na-2 r 1 2 1\n"
    call("subset-data", "--first", folder, 1, tmp_path / "first")
    call("subset-data", "--last", folder, 2, tmp_path / "last")
    call("combine-data", tmp_path / "both", tmp_path / "last", tmp_path / "first")
    (tmp_path / "both/utt2label").write_text("b-2 neu\na-1 neu\n")
    assert "left out" in call("fix-data", tmp_path / "both").err
    assert (tmp_path / "both/segments").read_text() == "a-1 r 0 1 A\nb-2 r 3 4 -1\n"
    (folder / "segments").write_text("a-1 r 0 1 C\na-2 r 1 2\nb-1 r 2 3\nb-2 r 3 4 1 x\n")
    lines = call("validate-data", folder, code=1).text
    assert "key a-1: 'C' is not a channel" in lines and "segments:4: 6 columns, expected 4 or 5" in lines


@pytest.mark.parametrize("args, code", [(["gone"], 1), (["--verify", "maybe", "data"], 2), (["--limit", "0", "data"], 2),
                                        (["data", "x"], 2), (["--nothing", "data"], 2)])  # fmt: skip
def test_wrong_calls_end_in_one_line(call, tmp_path, monkeypatch, args, code):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data")
    result = call("validate-data", *args, code=code)
    assert result.err.startswith("validate-data: ERROR: ") and result.err.count("\n") == 1
